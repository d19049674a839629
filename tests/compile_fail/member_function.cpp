// expect: a pointer to member cannot be called
#include <pinion/detail/callable_check.hpp>

struct Point {
  int x() const;
};
void check() { pinion::detail::require_callable<decltype(&Point::x), Point>(); }
