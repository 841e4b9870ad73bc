#include "bitgrad/data/digits.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "bitgrad/core/check.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/data/digit_glyphs.h"
#include "bitgrad/data/stroke_canvas.h"

namespace bitgrad {
namespace {

constexpr int kLinesPerSpan = 4;  // straight lines per piece of curve between two control points
constexpr int kMaxPoints = (kMaxControlPoints - 1) * kLinesPerSpan + 1;
static_assert(StrokeCanvas::kSide == kDigitSide);

// These numbers decide how hard the data set is. Changing any of them makes another data set: figures that were
// measured before can no longer be compared.
constexpr float kControlPointJitter = 0.035f;  // of the glyph's size, standard deviation
constexpr float kHeight[2] = {15.0f, 21.0f};   // pixels
constexpr float kAspect[2] = {0.5f, 0.95f};    // width / height
constexpr float kHalfAngleTangent = 0.16f;     // rotation up to +-2 atan(this), 18 degrees
constexpr float kSlant[2] = {-0.2f, 0.4f};     // horizontal shift per unit of height
constexpr float kShift = 1.75f;                // pixels, each direction
constexpr float kWarp = 1.0f;                  // pixels, standard deviation of the grid's displacements
constexpr float kPenRadius[2] = {0.6f, 1.7f};  // pixels
constexpr float kSoftness[2] = {0.8f, 1.6f};   // pixels
constexpr float kBrightness[2] = {170.0f, 255.0f};
constexpr float kNoise[2] = {0.0f, 40.0f};  // grey levels, peak

// The random numbers of one image, in the order of their use.
class Dice {
 public:
  explicit Dice(const RngStream& rng) : rng_(rng) {}

  uint32_t Word() {
    if (next_ == 4) {
      block_ = RandomBlock(rng_, blocks_++);
      next_ = 0;
    }
    return block_.word[next_++];
  }
  float Between(const float (&range)[2]) { return Between(range[0], range[1]); }
  float Between(float low, float high) { return low + (high - low) * ToUniform(Word()); }
  int Below(int n) { return static_cast<int>(static_cast<uint64_t>(Word()) * n >> 32); }
  // A nearly normal number of mean 0 and standard deviation 1: the sum of the four bytes of a word (Irwin-Hall). It
  // needs no logarithm and no cosine, whose last bits differ between math libraries.
  float Bell() {
    const uint32_t word = Word();
    const int sum = static_cast<int>((word & 255) + (word >> 8 & 255) + (word >> 16 & 255) + (word >> 24));
    return static_cast<float>(sum - 510) * (1.0f / 147.8f);  // 147.8 = sqrt(4 (256^2 - 1) / 12)
  }

 private:
  RngStream rng_;
  uint64_t blocks_ = 0;
  RngBlock block_ = {};
  int next_ = 4;
};

// From the glyph's unit square to pixels: p = center + matrix (q - (1/2, 1/2)).
struct Affine {
  float xx, xy, yx, yy;
  float center_x, center_y;

  CanvasPoint operator()(float x, float y) const {
    x -= 0.5f;
    y -= 0.5f;
    return {center_x + xx * x + xy * y, center_y + yx * x + yy * y};
  }
};

Affine RandomAffine(Dice& dice) {
  const float height = dice.Between(kHeight);
  const float width = height * dice.Between(kAspect);
  const float shear = height * dice.Between(kSlant);
  // Rotation by the tangent t of half the angle: cos = (1 - t^2) / (1 + t^2), sin = 2 t / (1 +
  // t^2).
  const float t = dice.Between(-kHalfAngleTangent, kHalfAngleTangent);
  const float cosine = (1.0f - t * t) / (1.0f + t * t);
  const float sine = 2.0f * t / (1.0f + t * t);
  const float middle = 0.5f * (kDigitSide - 1);
  Affine affine;
  // rotation * [width, -shear; 0, height]: a positive slant leans the top (small y) to the right.
  affine.xx = cosine * width;
  affine.xy = -cosine * shear - sine * height;
  affine.yx = sine * width;
  affine.yy = -sine * shear + cosine * height;
  affine.center_x = middle + dice.Between(-kShift, kShift);
  affine.center_y = middle + dice.Between(-kShift, kShift);
  return affine;
}

// Elastic distortion: random displacements at the nodes of a coarse grid, in between interpolated
// with the quadratic B-spline, whose slope is continuous, so strokes stay smooth. Nodes are
// kSpacing pixels apart.
class Warp {
 public:
  explicit Warp(Dice& dice) {
    for (auto& row : nodes_) {
      for (CanvasPoint& node : row) node = {kWarp * dice.Bell(), kWarp * dice.Bell()};
    }
  }

  CanvasPoint operator()(CanvasPoint p) const {
    int column, row;
    float wx[3], wy[3];
    Weights(p.x, &column, wx);
    Weights(p.y, &row, wy);
    CanvasPoint moved = p;
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 3; ++j) {
        const CanvasPoint& node = nodes_[row + i][column + j];
        moved.x += wy[i] * wx[j] * node.x;
        moved.y += wy[i] * wx[j] * node.y;
      }
    }
    return moved;
  }

 private:
  static constexpr int kNodes = 6;
  static constexpr float kSpacing = 7.0f;

  // The three nodes that act at coordinate `x`, and their weights. Outside of the image they are those of its edge.
  static void Weights(float x, int* first, float (&weight)[3]) {
    const float position = std::clamp(x / kSpacing + 0.5f, 0.0f, kNodes - 2 - 0x1p-10f);
    *first = static_cast<int>(position);
    const float f = position - static_cast<float>(*first);
    weight[0] = 0.5f * (1.0f - f) * (1.0f - f);
    weight[1] = 0.75f - (f - 0.5f) * (f - 0.5f);
    weight[2] = 0.5f * f * f;
  }

  CanvasPoint nodes_[kNodes][kNodes];
};

// The curve through a stroke's control points, each moved by jitter, as a polyline in the unit
// square.
class Curve {
 public:
  Curve(const Stroke& stroke, Dice& dice) : stroke_(stroke) {
    for (int i = 0; i < stroke.count; ++i) {
      point_[i] = {stroke.points[i].x + kControlPointJitter * dice.Bell(),
                   stroke.points[i].y + kControlPointJitter * dice.Bell()};
    }
  }

  int size() const { return stroke_.count == 0 ? 0 : (stroke_.count - 1) * kLinesPerSpan + 1; }

  // REQUIRES: 0 <= k < size(). Cubic Hermite piece with Catmull-Rom tangents.
  CanvasPoint at(int k) const {
    const int i = std::min(k / kLinesPerSpan, stroke_.count - 2);
    const float t = static_cast<float>(k - i * kLinesPerSpan) / kLinesPerSpan;
    const CanvasPoint from = Tangent(i, i);
    const CanvasPoint to = Tangent(i + 1, i);
    const float s = 1.0f - t;
    const float h00 = (1.0f + 2.0f * t) * s * s;
    const float h01 = t * t * (3.0f - 2.0f * t);
    const float h10 = t * s * s;
    const float h11 = -t * t * s;
    return {h00 * point_[i].x + h10 * from.x + h01 * point_[i + 1].x + h11 * to.x,
            h00 * point_[i].y + h10 * from.y + h01 * point_[i + 1].y + h11 * to.y};
  }

 private:
  // The tangent at point i of the piece that begins at point `piece`; one-sided at ends and corners.
  CanvasPoint Tangent(int i, int piece) const {
    const bool one_sided = i == 0 || i == stroke_.count - 1 || stroke_.points[i].kind == kCorner;
    const CanvasPoint& a = point_[one_sided ? piece : i - 1];
    const CanvasPoint& b = point_[one_sided ? piece + 1 : i + 1];
    const float scale = one_sided ? 1.0f : 0.5f;
    return {scale * (b.x - a.x), scale * (b.y - a.y)};
  }

  const Stroke& stroke_;
  CanvasPoint point_[kMaxControlPoints];
};

// Grey level = brightness * ink + noise, rounded, in 0..255; one random word gives four pixels'
// noise.
void Develop(const StrokeCanvas& canvas, Dice& dice, absl::Span<uint8_t> pixels) {
  const float brightness = dice.Between(kBrightness);
  const float noise = dice.Between(kNoise) / 128.0f;
  const std::array<float, StrokeCanvas::kPixels> ink = canvas.Ink();
  for (int i = 0; i < StrokeCanvas::kPixels; i += 4) {
    const uint32_t word = dice.Word();
    for (int j = 0; j < 4; ++j) {
      const float centred = static_cast<float>(static_cast<int>(word >> (8 * j) & 255)) - 127.5f;
      const float grey = brightness * ink[i + j] + noise * centred;
      pixels[i + j] = static_cast<uint8_t>(std::clamp(grey, 0.0f, 255.0f) + 0.5f);
    }
  }
}

}  // namespace

void DrawDigit(uint64_t seed, Split split, int64_t index, absl::Span<uint8_t> pixels) {
  BITGRAD_DCHECK(pixels.size() == StrokeCanvas::kPixels);
  Dice dice({.seed = seed,
             .purpose = RngPurpose::kSynthesis,
             .step = static_cast<uint32_t>(split),
             .stream = static_cast<uint32_t>(index)});
  const absl::Span<const Glyph> variants = GlyphsOf(DigitLabel(index));
  const Glyph& glyph = variants[dice.Below(static_cast<int>(variants.size()))];
  const Affine affine = RandomAffine(dice);
  const Warp warp(dice);
  const float radius = dice.Between(kPenRadius);
  StrokeCanvas canvas(radius, dice.Between(kSoftness));
  for (const Stroke& stroke : glyph.strokes) {
    const Curve curve(stroke, dice);
    CanvasPoint points[kMaxPoints];
    for (int k = 0; k < curve.size(); ++k) {
      const CanvasPoint q = curve.at(k);
      points[k] = warp(affine(q.x, q.y));
    }
    canvas.DrawPolyline({points, static_cast<size_t>(curve.size())});
  }
  Develop(canvas, dice, pixels);
}

absl::StatusOr<Dataset> LoadDigits(const LoadOptions& options) {
  int64_t count = options.split == Split::kTrain ? kDigitTrainExamples : kDigitTestExamples;
  if (options.limit > 0) count = std::min(count, options.limit);
  Dataset dataset{"digits", Tensor({count, kDigitSide, kDigitSide, 1}, DType::kUint8),
                  Tensor(Shape({count}), DType::kInt32), kDigitClasses};
  dataset.class_names = NumberNames(0, kDigitClasses);
  uint8_t* images = dataset.images.mutable_data<uint8_t>();
  int32_t* labels = dataset.labels.mutable_data<int32_t>();
  constexpr int64_t kPixels = kDigitSide * kDigitSide;
  ParallelFor(options.threads, count, /*min_chunk=*/64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      labels[i] = DigitLabel(i);
      DrawDigit(options.seed, options.split, i, {images + i * kPixels, kPixels});
    }
  });
  return dataset;
}

}  // namespace bitgrad
