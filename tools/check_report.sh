#!/bin/bash
# Opens reports in headless Chromium and looks at them as a reader would.
#
#   tools/check_report.sh [--out=DIR] RUN...
#
# RUN is a run's folder with a report.html, or a page. Each is opened at 1280 and 400 pixels width, in a light and in a
# dark theme. It is a failure where the console says something, a figure has no size or a picture is not shown, texts of
# a figure lie on each other or are cut off, or the page is wider than the window. Screenshots go to DIR, by default
# report_screenshots, as RUN_1280_light.png and so on. Exit status 0: nothing was found.
#
# Debian has it as chromium: apt-get install chromium. CHROMIUM names another one.
set -uo pipefail

out=report_screenshots
if [[ ${1:-} == --out=* ]]; then
  out=${1#--out=}
  shift
fi
if (($# == 0)) || [[ $1 == -* ]]; then
  sed -n '2,12s/^# \{0,1\}//p' "$0"
  exit 1
fi

chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
[[ -n $chromium ]] || { echo "check_report.sh: there is no Chromium; run: apt-get install chromium" >&2; exit 1; }
mkdir -p "$out" || exit 1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
  echo "FAIL: $*"
  failures=$((failures + 1))
}

# browse WIDTH HEIGHT OPTION... : opens the frame; the page's report is on stdout, the console in $work/log.
browse() {
  local width=$1 height=$2
  shift 2
  timeout 120 "$chromium" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" \
    --allow-file-access-from-files --enable-logging=stderr --virtual-time-budget=10000 \
    --window-size="$((width < 500 ? 500 : width)),$height" "$@" "file://$work/frame.html" 2>"$work/log"
}

# A window is not as narrow as a telephone, and has the system's theme; a frame within it has the width and the theme
# that it is given.
write_frame() {
  local width=$1 height=$2 theme=$3
  cat >"$work/frame.html" <<FRAME
<!DOCTYPE html><html><head><meta charset="utf-8"></head><body style="margin:0">
<iframe id="page" src="page.html"
style="display:block;border:0;width:${width}px;height:${height}px;color-scheme:$theme"></iframe>
<pre id="found"></pre><script>
addEventListener('load', () => {
  const page = document.getElementById('page').contentDocument, root = page.documentElement;
  const lines = ['height ' + root.scrollHeight, 'figures ' + page.querySelectorAll('figure').length];
  if (root.scrollWidth > $width) lines.push('wrong: the page is ' + root.scrollWidth + ' pixels wide');
  for (const figure of page.querySelectorAll('figure')) {
    const say = what => lines.push('wrong: ' + figure.id + ': ' + what);
    const shown = [...figure.querySelectorAll('svg, img, table, blockquote')];
    if (shown.length == 0) say('there is nothing in it');
    for (const element of shown) {
      const box = element.getBoundingClientRect();
      if (box.width < 4 || box.height < 4) say('an element ' + element.tagName + ' has no size');
      if (element.tagName == 'IMG' && !element.naturalWidth) say('a picture is not shown');
    }
    for (const svg of figure.querySelectorAll('svg')) {
      const frame = svg.getBoundingClientRect();
      const boxes = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
      boxes.forEach(([text, a], i) => {
        if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.top < frame.top - 1 ||
            a.bottom > frame.bottom + 1) say('the text "' + text + '" is cut off');
        for (const [other, b] of boxes.slice(0, i)) {
          const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
          const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
          if (width > 1 && height > 3) say('the texts "' + other + '" and "' + text + '" lie on each other');
        }
      });
    }
  }
  document.getElementById('found').textContent = lines.join('\n');
});
</script></body></html>
FRAME
}

for run in "$@"; do
  page=$run
  [[ -d $run ]] && page=$run/report.html
  [[ -f $page ]] || { fail "there is no page '$page'; train with --report, or run //tools:report"; continue; }
  cp "$page" "$work/page.html"
  name=$(basename "${run%/}" .html)
  expected=$(grep -c '<figure ' "$page")
  ((expected > 0)) || fail "$name: there is no figure"
  for width in 1280 400; do
    for theme in light dark; do
      label=${name}_${width}_$theme
      write_frame "$width" 2000 "$theme"
      browse "$width" 2000 --dump-dom >"$work/dom" || fail "$label: $chromium ended with status $?"
      sed -n '/<pre id="found">/,/<\/pre>/p' "$work/dom" | sed 's/.*<pre id="found">//; s/<\/pre>.*//' >"$work/found"
      height=$(sed -n 's/^height //p' "$work/found")
      [[ -n $height ]] || { fail "$label: the page did not load"; continue; }
      figures=$(sed -n 's/^figures //p' "$work/found")
      [[ $figures == "$expected" ]] || fail "$label: $figures figures of $expected"
      while read -r line; do fail "$label: ${line#wrong: }"; done < <(grep '^wrong: ' "$work/found")
      while read -r line; do fail "$label: console: $line"; done < <(grep -o 'CONSOLE.*' "$work/log")
      write_frame "$width" "$height" "$theme"
      browse "$width" "$height" --screenshot="$work/shot.png" >"$work/dom"
      if [[ -s $work/shot.png ]]; then mv "$work/shot.png" "$out/$label.png"; else fail "$label: no screenshot"; fi
      echo "$label: $figures figures, $height pixels high"
    done
  done
done
echo "check_report: runs=$# failures=$failures out=$out"
((failures == 0))
