// expect: an aggregate with bit-fields
#include <pinion/detail/callable_check.hpp>

struct Entry {
  std::string name;
  unsigned ready : 1;
};

int f(Entry);
void check() { pinion::detail::require_callable<decltype(f), Entry>(); }
