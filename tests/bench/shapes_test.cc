#include "bitgrad/bench/shapes.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

std::string ErrorOf(absl::string_view text) { return std::string(ParseShapes(text).status().message()); }

TEST(ShapesTest, ReadsNamesAndNumbers) {
  const auto shapes = ParseShapes("# all of it\n\nconv1  64 128\t27 # the first\r\nfc 1 10 1024");
  ASSERT_TRUE(shapes.ok()) << shapes.status();
  ASSERT_EQ(shapes->size(), 2u);
  EXPECT_EQ((*shapes)[0].name, "conv1");
  EXPECT_EQ((*shapes)[0].m, 64);
  EXPECT_EQ((*shapes)[0].n, 128);
  EXPECT_EQ((*shapes)[0].k, 27);
  EXPECT_EQ((*shapes)[1].name, "fc");
  EXPECT_EQ((*shapes)[1].k, 1024);
}

TEST(ShapesTest, ErrorsNameTheLine) {
  EXPECT_EQ(ErrorOf("a 1 2 3\nb 1 2"), "line 2: 'b 1 2' is not 'name m n k'");
  EXPECT_EQ(ErrorOf("a 1 2 3 4"), "line 1: 'a 1 2 3 4' is not 'name m n k'");
  EXPECT_EQ(ErrorOf("a 1 0 3"), "line 1: 'a 1 0 3' is not 'name m n k'");
  EXPECT_EQ(ErrorOf("a 1 x 3"), "line 1: 'a 1 x 3' is not 'name m n k'");
  EXPECT_EQ(ErrorOf("a 1 2 3\n\na 4 5 6"), "line 3: the name 'a' comes twice");
  EXPECT_EQ(ErrorOf("# nothing\n"), "there is no shape in it");
}

TEST(ShapesTest, ReadsConvolutions) {
  const auto shapes = ParseConvShapes("first 32 30 128 256 3 2");
  ASSERT_TRUE(shapes.ok()) << shapes.status();
  ASSERT_EQ(shapes->size(), 1u);
  const ConvShape& shape = shapes->front();
  EXPECT_EQ(shape.name, "first");
  EXPECT_EQ(shape.height, 32);
  EXPECT_EQ(shape.width, 30);
  EXPECT_EQ(shape.channels, 128);
  EXPECT_EQ(shape.filters, 256);
  EXPECT_EQ(shape.kernel, 3);
  EXPECT_EQ(shape.stride, 2);
  EXPECT_EQ(ParseConvShapes("a 1 2 3").status().message(),
            "line 1: 'a 1 2 3' is not 'name height width channels filters kernel stride'");
}

TEST(ShapesTest, ReadsADirectory) {
  const std::string directory = testing::TempDir() + "/shapes";
  std::filesystem::create_directories(directory);
  std::ofstream(directory + "/zebra.txt") << "z 1 2 3\n";
  std::ofstream(directory + "/ant.txt") << "a 1 2 3\n";
  std::ofstream(directory + "/ignored.md") << "not a shape\n";
  const auto families = ReadShapeFamilies(directory);
  ASSERT_TRUE(families.ok()) << families.status();
  ASSERT_EQ(families->size(), 2u);
  EXPECT_EQ((*families)[0].name, "ant");
  EXPECT_EQ((*families)[1].name, "zebra");

  std::ofstream(directory + "/ant.txt") << "a 1 2\n";
  EXPECT_EQ(ReadShapeFamilies(directory).status().message(),
            "'" + directory + "/ant.txt': line 1: 'a 1 2' is not 'name m n k'");
  EXPECT_EQ(ReadShapeFamilies("no/such").status().message(),
            "cannot list directory 'no/such': No such file or directory");
}

TEST(ShapesTest, TheShapesOfTheBenchAreReadable) {
  const auto directory = FindShapesDirectory();
  ASSERT_TRUE(directory.ok()) << directory.status();
  const auto families = ReadShapeFamilies(*directory);
  EXPECT_TRUE(families.ok()) << families.status();
  const auto convolutions = ReadConvShapeFamilies(*directory + "/conv");
  EXPECT_TRUE(convolutions.ok()) << convolutions.status();
}

}  // namespace
}  // namespace bitgrad
