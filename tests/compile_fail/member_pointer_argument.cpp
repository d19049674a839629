// expect: a pointer to member cannot travel
#include <pinion/detail/callable_check.hpp>

struct Point {
  int x;
};

int f(int Point::*);
void check() { pinion::detail::require_callable<decltype(f), int Point::*>(); }
