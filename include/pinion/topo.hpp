// What pinion would do on this machine, and why.
#pragma once

#include <pinion/detail/api.hpp>
#include <pinion/placement.hpp>

#include <string>
#include <utility>
#include <vector>

namespace pinion {

/// Lines for people, grouped.
struct TopologyReport {
  /// What each source says about the usable CPUs; the one that decided is marked by "*".
  std::vector<std::pair<std::string, std::string>> usable;
  std::vector<std::string> placement;  ///< where each worker of a pool would go, and who decided
  std::vector<std::string> numa;       ///< a line a node
  std::string io;                      ///< which backend, and why
};

/// Describes the placement that a pool with these options would get. Throws `std::invalid_argument`
/// for a placement that cannot be.
[[nodiscard]] PINION_API TopologyReport describe_topology(const Placement& placement = {},
                                                          unsigned processes = 0);

}  // namespace pinion
