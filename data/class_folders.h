// The files of a split that has a folder per class.

#ifndef BITGRAD_DATA_CLASS_FOLDERS_H_
#define BITGRAD_DATA_CLASS_FOLDERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bitgrad {

// What was found in a directory of class folders.
struct ClassFolders {
  struct File {
    std::string path;   // below the directory: "cat/0.jpg"
    int32_t label = 0;  // the place of its folder in `classes`
  };
  std::vector<std::string> classes;  // the folders' names, sorted
  std::vector<File> files;           // by class, then by path
  std::string passed_over;           // "2 hidden, 1 that is no image (notes.txt)"; empty: nothing
};

// The names of the class folders alone, sorted: without looking into them. Errors as below.
absl::StatusOr<std::vector<std::string>> ListClasses(const std::string& directory);

// A class is a folder in the directory, or a link to one. Its files are all those called .jpg, .jpeg or .png, in any
// case, in the folder and in the folders below it. Names that begin with a dot (.ipynb_checkpoints, macOS's ._0.jpg)
// and __MACOSX are hidden: they are passed over, folders with all that is in them. Files of other names, and files
// beside the class folders, are passed over, too. All that is passed over is counted.
//
// Errors name the directory and what to do: NotFound where it is missing; what the system says where a folder cannot be
// listed; InvalidArgument where a link cannot be followed (an image or a class would be missing without a word), where
// a link leads back to a folder that it is in, where there is no class, and where a class has no image. Of many such
// places the first few are named, with the count.
absl::StatusOr<ClassFolders> ListClassFolders(const std::string& directory);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_CLASS_FOLDERS_H_
