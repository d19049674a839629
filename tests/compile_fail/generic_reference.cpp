// expect: passed as rvalues
#include <pinion/detail/callable_check.hpp>

void check() {
  auto f = [](auto& x) { ++x; };
  pinion::detail::require_callable<decltype(f), int&>();
}
