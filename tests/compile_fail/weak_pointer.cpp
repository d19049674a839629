// expect: a std::weak_ptr cannot travel
#include <pinion/detail/callable_check.hpp>

int f(std::weak_ptr<int>);
void check() { pinion::detail::require_callable<decltype(f), std::weak_ptr<int>>(); }
