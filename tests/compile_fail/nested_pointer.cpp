// expect: a raw pointer cannot travel
#include <pinion/detail/callable_check.hpp>

int f(std::vector<std::pair<int, int*>>);
void check() { pinion::detail::require_callable<decltype(f), std::vector<std::pair<int, int*>>>(); }
