// One thing that is measured: the limit, ours, or a rival. One file each registers itself.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace pinion::perf {

/// What one measurement found: `operations` took `seconds` in all.
struct Sample {
  double seconds;
  std::uint64_t operations;
};

/// Thrown by a measurement that cannot be made here; the text says why, and the table shows it.
struct Skip : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Registers a measurement under a name ("ring/boost"). For namespace scope only.
struct Contestant {
  Contestant(std::string name, std::function<Sample()> measure);
};

struct Registered {
  std::string name;
  std::function<Sample()> measure;
};

/// All that was registered, ordered by name.
std::vector<Registered> contestants();

}  // namespace pinion::perf
