// What reports look like: on a screen of any width, light or dark, and in print.

#ifndef BITGRAD_REPORT_STYLE_H_
#define BITGRAD_REPORT_STYLE_H_

namespace bitgrad::report {

// The content of a <style> element, without '<' and '&'. Classes of figures are those of svg.h; their colors on white
// are the elements' own.
extern const char kStyle[];

}  // namespace bitgrad::report

#endif  // BITGRAD_REPORT_STYLE_H_
