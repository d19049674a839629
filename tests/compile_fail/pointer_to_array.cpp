// expect: it does not know how many items it has
#include <pinion/detail/callable_check.hpp>

int f(std::unique_ptr<int[]>);
void check() { pinion::detail::require_callable<decltype(f), std::unique_ptr<int[]>>(); }
