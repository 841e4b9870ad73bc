#!/bin/bash
# Prints a C++ file that defines bitgrad::BuiltInRecipes() from the text files named as arguments.
set -euo pipefail
cat <<'HEAD'
#include "bitgrad/models/recipe.h"

namespace bitgrad {
namespace {
constexpr BuiltInRecipe kRecipes[] = {
HEAD
for file in "$@"; do
  name=$(basename "$file" .textproto)
  printf '    {"%s", R"textproto(%s)textproto"},\n' "$name" "$(cat "$file")"
done
cat <<'TAIL'
};
}  // namespace
absl::Span<const BuiltInRecipe> BuiltInRecipes() { return kRecipes; }
}  // namespace bitgrad
TAIL
