// expect: a class with virtual functions cannot travel
#include <pinion/detail/callable_check.hpp>

struct Shape {
  virtual ~Shape() = default;
};

int f(std::unique_ptr<Shape>);
void check() { pinion::detail::require_callable<decltype(f), std::unique_ptr<Shape>>(); }
