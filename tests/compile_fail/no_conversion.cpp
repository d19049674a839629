// expect: an argument does not convert
#include <pinion/detail/callable_check.hpp>

int f(int x);
void check() { pinion::detail::require_callable<decltype(f), const char*>(); }
