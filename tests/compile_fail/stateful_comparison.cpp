// expect: comparison, hash or equality holds state
#include <pinion/detail/callable_check.hpp>

int f(std::set<int, bool (*)(int, int)>);
void check() { pinion::detail::require_callable<decltype(f), std::set<int, bool (*)(int, int)>>(); }
