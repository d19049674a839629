// expect: a union that is not trivially copyable cannot travel
#include <pinion/detail/callable_check.hpp>

union Either {
  Either();
  Either(const Either&);
  ~Either();
  int i;
  std::string s;
};

int f(Either);
void check() { pinion::detail::require_callable<decltype(f), Either>(); }
