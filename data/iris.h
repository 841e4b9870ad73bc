// Iris: 150 flowers of three species, four lengths of each (R. A. Fisher, "The use of multiple measurements in
// taxonomic problems", Annals of Eugenics 7, 1936; public domain). The rows are data/iris.csv, which is compiled in:
// the values of the paper, as scikit-learn has them. (The UCI repository's copy differs in two of them, rows 35
// and 38.)
//
// A flower is an image of one row of four pixels: sepal length, sepal width, petal length, petal width. A pixel is
// 30 times the length in cm. Lengths are multiples of 0.1 cm up to 7.9 cm, so that pixels are exact, and spread over
// most of a byte.
//
// Every fifth row of the file tests, ten of each species; the other 120 train, in the file's order, which is by
// species: split validation examples off with data.validation: SPREAD.

#ifndef BITGRAD_DATA_IRIS_H_
#define BITGRAD_DATA_IRIS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/load_options.h"

namespace bitgrad {

inline constexpr int64_t kIrisFeatures = 4;
inline constexpr int64_t kIrisClasses = 3;  // setosa, versicolor, virginica
inline constexpr int kIrisPixelsPerCm = 30;

// Uses split and limit of `options`.
absl::StatusOr<Dataset> LoadIris(const LoadOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_IRIS_H_
