// expect: a std::span or std::string_view cannot travel
#include <pinion/detail/callable_check.hpp>

int f(std::string_view);
void check() { pinion::detail::require_callable<decltype(f), std::string_view>(); }
