// expect: a raw pointer cannot travel
#include <pinion/detail/callable_check.hpp>

int f(int*);
void check() { pinion::detail::require_callable<decltype(f), int*>(); }
