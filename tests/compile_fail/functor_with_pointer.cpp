// expect: a raw pointer cannot travel
#include <pinion/detail/callable_check.hpp>

struct Functor {
  int* p;
  int operator()() const { return *p; }
};
void check() { pinion::detail::require_callable<Functor>(); }
