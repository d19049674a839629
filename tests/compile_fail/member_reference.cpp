// expect: a reference cannot travel
#include <pinion/detail/callable_check.hpp>

struct Holder {
  int& value;
};

int f(Holder);
void check() { pinion::detail::require_callable<decltype(f), Holder>(); }
