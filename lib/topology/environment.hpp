// The environment as something that can be handed in.
#pragma once

#include <cstdlib>
#include <functional>

namespace pinion::topology {

/// Looks up a variable; null where it is not set.
using Environment = std::function<const char*(const char* name)>;

[[nodiscard]] inline Environment process_environment() {
  return [](const char* name) -> const char* { return std::getenv(name); };
}

}  // namespace pinion::topology
