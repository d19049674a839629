// expect: a callable that returns T& cannot run
#include <pinion/detail/callable_check.hpp>

int& f(int x);
void check() { pinion::detail::require_callable<decltype(f), int>(); }
