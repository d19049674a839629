// What the kernel refused while a pool was made, as the errors that users are promised.
#pragma once

#include <system_error>

namespace pinion::pool {

/// Throws `ResourceError` where a limit was met, with its name and what to do; else `StartError`.
[[noreturn]] void throw_start_error(const std::system_error& error);

}  // namespace pinion::pool
