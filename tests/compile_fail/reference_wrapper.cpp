// expect: a std::reference_wrapper cannot travel
#include <pinion/detail/callable_check.hpp>

int f(std::reference_wrapper<int>);
void check() { pinion::detail::require_callable<decltype(f), std::reference_wrapper<int>>(); }
