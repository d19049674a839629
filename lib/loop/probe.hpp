// Which backend a loop would get here, for display.
#pragma once

#include <string>

namespace pinion::loop {

/// "uring: ..." or "poll: ..." with the reason. Makes a backend and drops it.
std::string describe_backend();

}  // namespace pinion::loop
