// expect: an aggregate with a base class cannot travel
#include <pinion/detail/callable_check.hpp>

struct Base {
  int id;
};
struct Derived : Base {
  std::string name;
};

int f(Derived);
void check() { pinion::detail::require_callable<decltype(f), Derived>(); }
