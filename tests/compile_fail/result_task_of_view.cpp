// expect: a std::span or std::string_view cannot travel
#include <pinion/detail/callable_check.hpp>

pinion::Task<std::string_view> f(int x);
void check() { pinion::detail::require_callable<decltype(f), int>(); }
