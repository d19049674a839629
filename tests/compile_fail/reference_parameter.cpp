// expect: a parameter of type T& cannot be passed to a worker
#include <pinion/detail/callable_check.hpp>

int f(int&);
void check() { pinion::detail::require_callable<decltype(f), int&>(); }
