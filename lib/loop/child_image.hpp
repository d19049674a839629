// What the child of a spawn needs, made ready before it exists: it may not allocate.
#pragma once

#include <pinion/process.hpp>

#include <string>
#include <vector>

#include "lib/loop/child_defaults.hpp"

namespace pinion::loop {

/// The steps of the child, in their order; the text of a failure comes from it.
enum class ChildStep { none, group, directory, descriptors, limits, program };

class ChildImage {
 public:
  /// Throws `std::invalid_argument`. Refers to `request`, which must live as long.
  explicit ChildImage(const io::SpawnRequest& request);

  /// What was being done to `argv[0]`, for an error's text.
  [[nodiscard]] std::string describe(ChildStep step) const;

  const io::SpawnRequest& request;
  const ChildDefaults& defaults;
  std::vector<char*> argv;
  std::vector<char*> environment;          // empty: our own
  std::vector<std::string> programs;       // what to execute: the first that exists
  std::vector<const char*> program_paths;  // the same, for the child
};

}  // namespace pinion::loop
