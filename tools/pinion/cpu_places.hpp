// Which CPUs a run's jobs are bound to.
#pragma once

#include <pinion/placement.hpp>

#include <string>
#include <vector>

namespace pinion::command {

/// The places of a pool with this placement, one for each worker, as "0,1"; empty texts where
/// workers are not bound. Throws std::invalid_argument for a placement that cannot be.
[[nodiscard]] std::vector<std::string> cpu_places(const Placement& placement);

/// "0-2,8" as "0,1,2,8".
[[nodiscard]] std::string without_ranges(const std::string& list);

/// Places of `count` neighbouring ones each; what is left over is not used. Throws UsageError where
/// that gives no place.
[[nodiscard]] Placement group_places(const std::vector<std::string>& places, unsigned count,
                                     Bind bind = Bind::close);

}  // namespace pinion::command
