#include "bitgrad/report/style.h"

namespace bitgrad::report {

const char kStyle[] = R"(:root {
  color-scheme: light dark;
  --page: #ffffff; --text: #1b1d20; --muted: #5a6068; --line: #d8dce1; --panel: #f4f6f8; --accent: #0072b2;
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 Helvetica, Arial, "DejaVu Sans", sans-serif; }
main { max-width: 1320px; margin: 0 auto; padding: 20px 16px 48px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 34px 0 12px; padding-bottom: 5px; border-bottom: 1px solid var(--line); }
h3 { font-size: 14px; margin: 0 0 4px; overflow-wrap: anywhere; }
p { margin: 6px 0; max-width: 80ch; overflow-wrap: anywhere; }
.muted, figcaption, th, dt { color: var(--muted); }
figure { margin: 0; break-inside: avoid; min-width: 0; }
figure + figure { margin-top: 0; }
figure > svg { display: block; width: 100%; max-width: 480px; height: auto; overflow: visible; }
figcaption { font-size: 12.5px; line-height: 1.4; margin-top: 4px; max-width: 480px; }
.columns { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 350px), 1fr)); gap: 30px 34px; }
.columns + figure, figure + .columns, .tiles + p { margin-top: 26px; }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 16px 0 0; }
.tiles div { background: var(--panel); border-radius: 6px; padding: 8px 14px; min-width: 120px; }
.tiles b { display: block; font-size: 20px; font-weight: 600; font-variant-numeric: tabular-nums; }
.tiles span { font-size: 12.5px; color: var(--muted); }
.pictures { display: flex; flex-wrap: wrap; gap: 12px; margin: 6px 0; }
.pictures div { width: 84px; font-size: 12px; line-height: 1.35; overflow-wrap: anywhere; break-inside: avoid; }
.pictures img { display: block; width: 84px; height: 84px; object-fit: contain; image-rendering: pixelated;
  background: var(--panel); margin-bottom: 3px; }
.filters { gap: 4px; }
.filters img { width: 56px; height: 56px; margin: 0; }
.wrong { color: #b34700; } .right { color: #00714f; }
pre, blockquote { background: var(--panel); border-radius: 6px; padding: 10px 14px; margin: 8px 0 14px;
  font: 12.5px/1.45 "DejaVu Sans Mono", Menlo, Consolas, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
blockquote b { color: var(--accent); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 3px 14px 3px 0; border-bottom: 1px solid var(--line); font-weight: normal; }
td.number, th.number { text-align: right; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 18px; margin: 8px 0 16px; }
dd { margin: 0; overflow-wrap: anywhere; }
svg text { fill: var(--text); font-variant-numeric: tabular-nums; }
svg .muted { fill: var(--muted); }
svg .ondark { fill: #ffffff; }
svg .page { fill: var(--page); }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #15171a; --text: #e4e6e9; --muted: #a2a9b2; --line: #363b42; --panel: #20242a; --accent: #64b5f6; }
  svg .grid { stroke: #30353c; } svg .axis { stroke: #8a929c; }
  svg .l0 { stroke: #4aa8e8; } svg .l1 { stroke: #f08a4b; } svg .l2 { stroke: #2fc79a; } svg .l3 { stroke: #e29bc4; }
  svg .l4 { stroke: #f2b632; } svg .l5 { stroke: #8fd0f5; } svg .l6 { stroke: #a8adb4; }
  svg .f0 { fill: #4aa8e8; } svg .f1 { fill: #f08a4b; } svg .f2 { fill: #2fc79a; } svg .f3 { fill: #e29bc4; }
  svg .f4 { fill: #f2b632; } svg .f5 { fill: #8fd0f5; } svg .f6 { fill: #a8adb4; }
  svg .ondark { fill: #101214; }
  .wrong { color: #f39a5f; } .right { color: #3fd0a4; }
}
@media (max-width: 480px) {
  main { padding: 14px 12px 32px; }
  .columns { gap: 24px; }
  .tiles div { flex: 1 1 40%; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: 6px; }
}
@media print {
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  .columns { grid-template-columns: 1fr 1fr; }
  h2 { break-after: avoid; }
  pre, blockquote, .tiles div { border: 1px solid var(--line); }
}
)";

}  // namespace bitgrad::report
