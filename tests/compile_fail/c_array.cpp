// expect: an aggregate with a C array
#include <pinion/detail/callable_check.hpp>

struct Names {
  std::string names[3];
};

int f(Names);
void check() { pinion::detail::require_callable<decltype(f), Names>(); }
