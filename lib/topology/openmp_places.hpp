// The CPUs that an OpenMP runtime in this process deals out.
#pragma once

#include <optional>

#include "lib/topology/cpu_set.hpp"

namespace pinion::topology {

/// The union of the places of the OpenMP runtime that is loaded in this process; nothing where
/// none is, or where it binds no threads. The runtime is found by name at run time; nothing here
/// is linked to one.
///
/// A runtime that was loaded but not yet used may initialise itself in this call, so ask only
/// where the environment asks for binding.
[[nodiscard]] std::optional<CpuSet> openmp_places();

}  // namespace pinion::topology
