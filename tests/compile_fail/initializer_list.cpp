// expect: a std::initializer_list cannot travel
#include <pinion/detail/callable_check.hpp>

int f(std::initializer_list<int>);
void check() { pinion::detail::require_callable<decltype(f), std::initializer_list<int>>(); }
