// expect: Default arguments are not known
#include <pinion/detail/callable_check.hpp>

int f(int x, int y = 2);
void check() { pinion::detail::require_callable<decltype(f), int>(); }
