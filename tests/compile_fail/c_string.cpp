// expect: Use std::string.
#include <pinion/detail/callable_check.hpp>

int f(const char*);
void check() { pinion::detail::require_callable<decltype(f), const char*>(); }
