// The tree of files that is hashed: made once for all rivals, removed at the program's end.
#pragma once

#include <array>
#include <string>
#include <vector>

namespace pinion::perf {

using Digest = std::array<unsigned char, 32>;

/// The files' paths, the large ones first; all of their pages are in memory. Throws `Skip` where
/// there is no room for them.
const std::vector<std::string>& tree_files();

/// Throws `std::runtime_error` unless a rival found what those before it have found.
void compare_digests(const std::vector<Digest>& digests);

}  // namespace pinion::perf
