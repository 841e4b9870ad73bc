#include "bitgrad/export/tensor_names.h"

#include <string>
#include <vector>

#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

std::string ErrorOf(const std::string& text) {
  const auto names = TensorNames::Parse("net.names", text);
  EXPECT_FALSE(names.ok()) << text;
  return std::string(names.status().message());
}

TEST(TensorNamesTest, ReadsNamesLayoutsAndComments) {
  const std::string path = NewDirectory() + "/net.names";
  WriteFile(path,
            "\xEF\xBB\xBF# A net\r\n\n  conv1/weight = features.0.weight\tnchw # filters\r\n"
            "hidden1/weight=classifier.weight from_nchw(64,4,2)\noutput/weight = out transpose\nstep = -\nb = c");
  const auto names = TensorNames::Read(path);
  ASSERT_TRUE(names.ok()) << names.status();
  EXPECT_EQ(names->Of("conv1/weight").name, "features.0.weight");
  EXPECT_EQ(names->Of("conv1/weight").layout.kind, TensorLayout::Kind::kNchw);
  EXPECT_EQ(names->Of("conv1/weight").line, 3);
  const TensorName hidden = names->Of("hidden1/weight");
  EXPECT_EQ(hidden.name, "classifier.weight");
  EXPECT_EQ(ToString(hidden.layout), "from_nchw(64,4,2)");
  EXPECT_EQ(names->Of("output/weight").layout.kind, TensorLayout::Kind::kTranspose);
  EXPECT_EQ(names->Of("step").name, "");
  EXPECT_EQ(names->Of("b").name, "c");
  EXPECT_EQ(names->Of("b").layout.kind, TensorLayout::Kind::kSame);
  EXPECT_EQ(names->Of("output/bias").name, "output/bias");
  EXPECT_EQ(names->PlaceOf("b"), path + ":7: ");
  EXPECT_EQ(names->PlaceOf("output/bias"), "");
}

TEST(TensorNamesTest, ErrorsHaveTheLine) {
  for (const char* line : {"a", "a =", "= b", "a b = c", "a = b nchw nchw", "a : b", "="}) {
    EXPECT_THAT(ErrorOf("x = y\n" + std::string(line)), HasSubstr("net.names:2: '")) << line;
    EXPECT_THAT(ErrorOf(line), HasSubstr("is not 'PARAMETER = NAME'")) << line;
  }
  EXPECT_THAT(ErrorOf("a = - nchw"), HasSubstr("net.names:1: '-' stands alone"));
  EXPECT_THAT(ErrorOf("\na = b nhwc"), HasSubstr("net.names:2: unknown layout 'nhwc'; known: transpose, nchw, from_"));
  for (const char* layout : {"from_nchw", "from_nchw()", "from_nchw(1,2)", "from_nchw(1,2,3", "from_nchw(1,2,0)",
                             "from_nchw(1,2,-3)", "from_nchw(1,2,3,4)", "from_nchw(1,2,x)", "from_nchw(1,2,3000000)"}) {
    EXPECT_THAT(ErrorOf("a = b " + std::string(layout)), HasSubstr("net.names:1: ")) << layout;
  }
  EXPECT_THAT(ErrorOf("a = b\na = c"), HasSubstr("net.names:2: parameter 'a' is named in line 1 already"));
  EXPECT_THAT(ErrorOf("a = b\n\nc = b"), HasSubstr("net.names:3: the name 'b' is given in line 1 already"));
  EXPECT_THAT(std::string(TensorNames::Read("/nowhere/net.names").status().message()), HasSubstr("/nowhere/net.names"));
}

TEST(TensorNamesTest, NamesParametersThatExist) {
  const std::vector<std::string> parameters = {"hidden1/weight", "hidden1/bias"};
  EXPECT_TRUE(TensorNames().CheckParameters(parameters).ok());
  EXPECT_TRUE(TensorNames::Parse("n", "hidden1/weight = w")->CheckParameters(parameters).ok());
  EXPECT_THAT(std::string(TensorNames::Parse("n", "\nhidden1/wieght = w")->CheckParameters(parameters).message()),
              HasSubstr("n:2: the checkpoint has no parameter 'hidden1/wieght' (did you mean 'hidden1/weight'?)"));
  EXPECT_THAT(
      std::string(TensorNames::Parse("n", "hidden1/weight = hidden1/bias")->CheckParameters(parameters).message()),
      HasSubstr("n:1: 'hidden1/bias' is the name of the parameter 'hidden1/bias' as well"));
  // Two that exchange their names are two different ones.
  EXPECT_TRUE(TensorNames::Parse("n", "hidden1/weight = hidden1/bias\nhidden1/bias = hidden1/weight")
                  ->CheckParameters(parameters)
                  .ok());
}

TEST(TensorLayoutTest, ExchangesAndBack) {
  const auto nchw = PlacesOf({.kind = TensorLayout::Kind::kNchw}, Shape({5, 2, 3, 4}));
  ASSERT_TRUE(nchw.ok());
  EXPECT_EQ(nchw->there, Shape({5, 4, 2, 3}));
  std::vector<float> here(120), there(120), back(120);
  for (size_t i = 0; i < here.size(); ++i) here[i] = static_cast<float>(i);
  Exchange(nchw->batch, nchw->rows, nchw->cols, sizeof(float), here.data(), there.data());
  for (int o = 0; o < 5; ++o) {
    for (int h = 0; h < 2; ++h) {
      for (int w = 0; w < 3; ++w) {
        for (int c = 0; c < 4; ++c) {
          EXPECT_EQ(there[((o * 4 + c) * 2 + h) * 3 + w], here[((o * 2 + h) * 3 + w) * 4 + c]);
        }
      }
    }
  }
  Exchange(nchw->batch, nchw->cols, nchw->rows, sizeof(float), there.data(), back.data());
  EXPECT_EQ(back, here);
  // The columns of a dense layer are the image of one filter.
  const auto columns = PlacesOf(*ParseTensorLayout("from_nchw(4,2,3)"), Shape({5, 24}));
  ASSERT_TRUE(columns.ok());
  EXPECT_EQ(columns->there, Shape({5, 24}));
  Exchange(columns->batch, columns->rows, columns->cols, sizeof(float), here.data(), back.data());
  EXPECT_EQ(back, there);
  const auto transposed = PlacesOf({.kind = TensorLayout::Kind::kTranspose}, Shape({2, 3}));
  ASSERT_TRUE(transposed.ok());
  EXPECT_EQ(transposed->there, Shape({3, 2}));
  Exchange(transposed->batch, transposed->rows, transposed->cols, sizeof(float), here.data(), back.data());
  EXPECT_EQ(std::vector<float>(back.begin(), back.begin() + 6), (std::vector<float>{0, 3, 1, 4, 2, 5}));
}

TEST(TensorLayoutTest, OfOtherShapes) {
  EXPECT_FALSE(PlacesOf({.kind = TensorLayout::Kind::kTranspose}, Shape({2, 3, 4})).ok());
  EXPECT_FALSE(PlacesOf({.kind = TensorLayout::Kind::kNchw}, Shape({2, 3})).ok());
  EXPECT_THAT(std::string(PlacesOf(*ParseTensorLayout("from_nchw(4,2,3)"), Shape({5, 25})).status().message()),
              HasSubstr("from_nchw(4,2,3) is for matrices of 24 columns, not for shape [5, 25]"));
}

}  // namespace
}  // namespace bitgrad
