// The accounts of a pool, checked against each other.
#pragma once

#include <string>
#include <vector>

#include "lib/pool/state.hpp"

namespace pinion::pool {

/// What contradicts itself, a line each; empty where all is well. With the lock held, at any time.
/// Costs a look at every flight: for tests.
std::vector<std::string> verify(const State& state);

}  // namespace pinion::pool
