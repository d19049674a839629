// Which backend a loop would get here, for display.
#pragma once

#include <string>

namespace pinion::loop {

struct BackendHere {
  std::string name;    ///< "uring", "poll", or "none" where the one asked for cannot be had
  std::string reason;  ///< why that one
};

/// Makes a backend and drops it.
[[nodiscard]] BackendHere backend_here();

}  // namespace pinion::loop
