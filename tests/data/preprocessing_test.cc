#include "bitgrad/data/preprocessing.h"

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "bitgrad/core/rng.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/normalize.h"
#include "bitgrad/data/preprocessings.h"
#include "bitgrad/data/whitening.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ::testing::HasSubstr;

// Random images: noise of its own in every value, on top of a gradient and a brightness that all values of an image
// share.
Dataset MakeDataset(int64_t count, const ImageShape& shape) {
  Dataset dataset{"test", Tensor({count, shape.height, shape.width, shape.channels}, DType::kUint8),
                  Tensor::Zeros(Shape({count}), DType::kInt32), 1};
  uint8_t* pixel = dataset.images.mutable_data<uint8_t>();
  for (int64_t i = 0; i < count; ++i) {
    const RngStream rng{.seed = 1, .stream = static_cast<uint32_t>(i)};
    const float brightness = 50 + 100 * Uniform(rng, 0), slope = 60 * Uniform(rng, 1) - 30;
    for (int64_t j = 0; j < shape.features(); ++j) {
      const float place = static_cast<float>(j) / static_cast<float>(shape.features());
      *pixel++ = static_cast<uint8_t>(brightness + slope * place + 50 * Uniform(rng, 2 + j));
    }
  }
  return dataset;
}

constexpr ImageShape kShape = {4, 5, 3};
constexpr int64_t kFeatures = 60;

std::shared_ptr<Preprocessing> Fitted(const std::vector<std::string>& texts, const Dataset& dataset,
                                      const ExampleRange& range, int threads = 1) {
  absl::StatusOr<Preprocessing> parsed = ParsePreprocessing(texts);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  auto preprocessing = std::make_shared<Preprocessing>(*std::move(parsed));
  EXPECT_TRUE(preprocessing->SetShape(dataset.image_shape()).ok());
  EXPECT_TRUE(preprocessing->Fit(dataset, range, threads).ok());
  return preprocessing;
}

// The range's images as floats, preprocessed.
Tensor Images(const Dataset& dataset, const ExampleRange& range, const Preprocessing& preprocessing) {
  Tensor images({range.size(), dataset.features()}, DType::kFloat32);
  for (int64_t i = 0; i < images.num_elements(); ++i) {
    images.mutable_data<float>()[i] =
        NormalizePixel(dataset.images.data<uint8_t>()[range.begin * dataset.features() + i]);
  }
  preprocessing.Apply(images.mutable_matrix<float>());
  return images;
}

std::vector<double> MeanOf(const Tensor& images) {
  std::vector<double> mean(images.shape().cols());
  for (int64_t i = 0; i < images.shape().rows(); ++i) {
    for (size_t j = 0; j < mean.size(); ++j) mean[j] += images.matrix<float>().at(i, j);
  }
  for (double& value : mean) value /= static_cast<double>(images.shape().rows());
  return mean;
}

// The covariance of the images' values, row-major [features, features].
std::vector<double> CovarianceOf(const Tensor& images) {
  const std::vector<double> mean = MeanOf(images);
  const size_t n = mean.size();
  std::vector<double> covariance(n * n);
  for (int64_t i = 0; i < images.shape().rows(); ++i) {
    const float* x = images.matrix<float>().row(i);
    for (size_t a = 0; a < n; ++a) {
      for (size_t b = 0; b < n; ++b) covariance[a * n + b] += (x[a] - mean[a]) * (x[b] - mean[b]);
    }
  }
  for (double& value : covariance) value /= static_cast<double>(images.shape().rows());
  return covariance;
}

TEST(StandardizationTest, GivesChannelsMeanZeroAndStdOne) {
  const Dataset dataset = MakeDataset(1500, kShape);
  const auto preprocessing = Fitted({"mean_std"}, dataset, {0, 1400});
  const Tensor images = Images(dataset, {0, 1400}, *preprocessing);
  for (int64_t c = 0; c < 3; ++c) {
    double sum = 0, sum_of_squares = 0;
    for (int64_t i = c; i < images.num_elements(); i += 3) {
      const double x = images.data<float>()[i];
      sum += x;
      sum_of_squares += x * x;
    }
    const double n = static_cast<double>(images.num_elements()) / 3;
    EXPECT_NEAR(sum / n, 0, 1e-5);
    EXPECT_NEAR(sum_of_squares / n, 1, 1e-5);
  }
}

TEST(StandardizationTest, AConstantChannelBecomesZero) {
  Dataset dataset = MakeDataset(50, kShape);
  for (const uint8_t constant : {0, 77}) {
    for (int64_t i = 1; i < dataset.images.num_elements(); i += 3) {
      dataset.images.mutable_data<uint8_t>()[i] = constant;
    }
    const auto preprocessing = Fitted({"mean_std"}, dataset, {0, 50});
    ASSERT_EQ(preprocessing->learned()[1].name, "preprocessing0/inv_std");
    EXPECT_EQ(preprocessing->learned()[1].tensor->data<float>()[1], 1);
    const Tensor images = Images(dataset, {0, 50}, *preprocessing);
    for (int64_t i = 1; i < images.num_elements(); i += 3) {
      EXPECT_NEAR(images.data<float>()[i], 0, 1e-6);
    }
  }
}

TEST(ContrastNormalizationTest, FollowsTheFormula) {
  const Dataset dataset = MakeDataset(20, kShape);
  for (const float scale : {1.0f, 2.5f}) {
    const Tensor x = Images(dataset, {0, 20}, Preprocessing());
    Tensor y = x.Clone();
    ContrastNormalization(scale).Apply(y.mutable_matrix<float>());
    for (int64_t i = 0; i < 20; ++i) {
      double mean = 0, variance = 0;
      for (int64_t j = 0; j < kFeatures; ++j) mean += x.matrix<float>().at(i, j) / double{kFeatures};
      for (int64_t j = 0; j < kFeatures; ++j) {
        variance += std::pow(x.matrix<float>().at(i, j) - mean, 2) / double{kFeatures};
      }
      for (int64_t j = 0; j < kFeatures; ++j) {
        const double expected = scale * (x.matrix<float>().at(i, j) - mean) / std::sqrt(variance);
        // A few roundings of values below 4 * scale.
        EXPECT_NEAR(y.matrix<float>().at(i, j), expected, 4e-6 * scale);
      }
    }
  }
}

TEST(ContrastNormalizationTest, AnImageOfOneColorBecomesZero) {
  Tensor x({2, 7}, DType::kFloat32);
  for (int64_t j = 0; j < 14; ++j) x.mutable_data<float>()[j] = j < 7 ? 0.5f : -1.0f;
  ContrastNormalization(1).Apply(x.mutable_matrix<float>());
  for (const float value : x.span<float>()) EXPECT_EQ(value, 0);
}

TEST(ZcaWhiteningTest, MakesTheCovarianceTheIdentity) {
  const Dataset dataset = MakeDataset(3000, kShape);
  const ExampleRange range = {100, 2900};
  const Tensor images = Images(dataset, range, *Fitted({"zca(1e-6)"}, dataset, range));
  for (const double mean : MeanOf(images)) EXPECT_NEAR(mean, 0, 1e-4);
  const std::vector<double> covariance = CovarianceOf(images);
  // The eigenvalues are those of the noise or more, (50 / 127.5)^2 / 12 = 0.013: epsilon takes at most 1e-4 of 1 away.
  for (int64_t a = 0; a < kFeatures; ++a) {
    for (int64_t b = 0; b < kFeatures; ++b) {
      EXPECT_NEAR(covariance[a * kFeatures + b], a == b, 3e-4) << a << " " << b;
    }
  }
}

// W (C + epsilon I) W = I, and W is symmetric.
TEST(ZcaWhiteningTest, TheMatrixIsTheInverseRoot) {
  const Dataset dataset = MakeDataset(1100, kShape);
  const ExampleRange all = AllExamples(dataset);
  for (const double epsilon : {0.1, 0.01}) {
    const auto preprocessing = Fitted({"zca(" + std::to_string(epsilon) + ")"}, dataset, all);
    const std::vector<LearnedTensor> learned = preprocessing->learned();
    ASSERT_EQ(learned.size(), 2u);
    EXPECT_EQ(learned[0].name, "preprocessing0/mean");
    EXPECT_EQ(learned[1].name, "preprocessing0/matrix");
    const ConstMatrixView<float> w = learned[1].tensor->matrix<float>();
    const std::vector<double> c = CovarianceOf(Images(dataset, all, Preprocessing()));
    std::vector<double> product(kFeatures * kFeatures);  // (C + epsilon I) W
    for (int64_t a = 0; a < kFeatures; ++a) {
      for (int64_t b = 0; b < kFeatures; ++b) {
        EXPECT_NEAR(w.at(a, b), w.at(b, a), 1e-5);
        for (int64_t k = 0; k < kFeatures; ++k) {
          product[a * kFeatures + b] += (c[a * kFeatures + k] + (a == k ? epsilon : 0)) * w.at(k, b);
        }
      }
    }
    for (int64_t a = 0; a < kFeatures; ++a) {
      for (int64_t b = 0; b < kFeatures; ++b) {
        double value = 0;
        for (int64_t k = 0; k < kFeatures; ++k) value += w.at(a, k) * product[k * kFeatures + b];
        EXPECT_NEAR(value, a == b, 1e-4) << a << " " << b;
      }
    }
  }
}

TEST(ZcaWhiteningTest, AppliesItsMatrixToTheCentredImage) {
  const Dataset dataset = MakeDataset(300, kShape);
  const auto preprocessing = Fitted({"zca"}, dataset, AllExamples(dataset));
  const ConstMatrixView<float> w = preprocessing->learned()[1].tensor->matrix<float>();
  const float* mean = preprocessing->learned()[0].tensor->data<float>();
  for (const int64_t count : {1, 2, 7}) {
    const Tensor x = Images(dataset, {5, 5 + count}, Preprocessing());
    const Tensor y = Images(dataset, {5, 5 + count}, *preprocessing);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < kFeatures; ++j) {
        double expected = 0;
        for (int64_t k = 0; k < kFeatures; ++k) {
          expected += double{w.at(j, k)} * (x.matrix<float>().at(i, k) - mean[k]);
        }
        EXPECT_NEAR(y.matrix<float>().at(i, j), expected, 1e-4);
      }
    }
  }
}

TEST(ZcaWhiteningTest, RefusesLargeImages) {
  ZcaWhitening zca(0.1f);
  EXPECT_TRUE(zca.SetShape({32, 32, 3}).ok());
  const absl::Status status = zca.SetShape({64, 64, 3});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("64x64x3 have 12288 values"));
}

TEST(PreprocessingTest, StepsLearnFromWhatTheStepsBeforeLeave) {
  const Dataset dataset = MakeDataset(400, kShape);
  const auto both = Fitted({"gcn", "zca"}, dataset, {0, 400});
  const Tensor normalized = Images(dataset, {0, 400}, *Fitted({"gcn"}, dataset, {0, 400}));
  const std::vector<double> mean = MeanOf(normalized);
  ASSERT_EQ(both->learned()[0].name, "preprocessing1/mean");
  for (int64_t j = 0; j < kFeatures; ++j) {
    EXPECT_NEAR(both->learned()[0].tensor->data<float>()[j], mean[j], 1e-6);
  }
}

TEST(PreprocessingTest, LearnsFromTheRangeOnly) {
  Dataset dataset = MakeDataset(400, kShape);
  const auto before = Fitted({"mean_std", "zca"}, dataset, {10, 390});
  for (const int64_t example : {0, 9, 390, 399}) {
    for (int64_t j = 0; j < kFeatures; ++j) {
      dataset.images.mutable_data<uint8_t>()[example * kFeatures + j] = 255;
    }
  }
  const auto after = Fitted({"mean_std", "zca"}, dataset, {10, 390});
  ASSERT_EQ(before->learned().size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(before->learned()[i].tensor->span<float>(), after->learned()[i].tensor->span<float>());
  }
}

TEST(PreprocessingTest, LoaderAppliesItWithAnyNumberOfWorkers) {
  const Dataset dataset = MakeDataset(70, kShape);
  const auto preprocessing = Fitted({"gcn", "zca"}, dataset, AllExamples(dataset));
  const Tensor expected = Images(dataset, AllExamples(dataset), *preprocessing);
  std::vector<float> first;
  for (const int workers : {1, 2, 3}) {
    const BatchOptions options = {.batch_size = 16, .workers = workers, .preprocessing = preprocessing};
    const auto loader = BatchLoader::Create(dataset, AllExamples(dataset), options);
    ASSERT_TRUE(loader.ok()) << loader.status();
    std::vector<float> all;
    for (const Batch& batch : loader->Epoch(0)) {
      const auto images = batch.images.span<float>();
      all.insert(all.end(), images.begin(), images.end());
    }
    ASSERT_EQ(all.size(), 70u * kFeatures);
    for (size_t i = 0; i < all.size(); ++i) ASSERT_NEAR(all[i], expected.data<float>()[i], 1e-4);
    if (first.empty()) first = all;
    EXPECT_TRUE(all == first) << workers;
  }
}

TEST(PreprocessingTest, ImagesWithoutPixelsAreAnError) {
  EXPECT_FALSE(ParsePreprocessing({"zca"})->SetShape({1, -5, 1}).ok());
  EXPECT_FALSE(ParsePreprocessing({"mean_std"})->SetShape({4, 4, 0}).ok());
}

TEST(ParsePreprocessingTest, ErrorsNameTheStep) {
  for (const char* text : {"whiten", "zca(0)", "zca(-1)", "gcn(0)", "mean_std(1)", "zca(0.1"}) {
    const absl::Status status = ParsePreprocessing({"gcn", text}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("preprocessing '" + std::string(text) + "': "));
  }
  EXPECT_TRUE(ParsePreprocessing({})->empty());
  EXPECT_THAT(PreprocessingHelp(), HasSubstr("zca(0.1)"));
}

}  // namespace
}  // namespace bitgrad
