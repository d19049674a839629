// Throws a copy of an error that was made here, so that no two waiters share an object.
#pragma once

#include <exception>

namespace pinion::pool {

[[noreturn]] void throw_anew(const std::exception_ptr& error);

}  // namespace pinion::pool
