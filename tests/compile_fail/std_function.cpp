// expect: a std::function cannot travel
#include <pinion/detail/callable_check.hpp>

int f(std::function<int()>);
void check() { pinion::detail::require_callable<decltype(f), std::function<int()>>(); }
