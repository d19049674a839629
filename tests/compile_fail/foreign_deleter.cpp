// expect: a deleter of its own cannot travel
#include <pinion/detail/callable_check.hpp>

struct Close {
  void operator()(int*) const;
};

int f(std::unique_ptr<int, Close>);
void check() { pinion::detail::require_callable<decltype(f), std::unique_ptr<int, Close>>(); }
