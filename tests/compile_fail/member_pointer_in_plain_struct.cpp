// expect: a raw pointer cannot travel
#include <pinion/detail/callable_check.hpp>

struct View {
  long n;
  const double* data;
};

int f(View);
void check() { pinion::detail::require_callable<decltype(f), View>(); }
