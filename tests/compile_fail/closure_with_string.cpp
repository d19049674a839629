// expect: this callable cannot travel
#include <pinion/detail/callable_check.hpp>

void check() {
  auto f = [text = std::string()] { return text.size(); };
  pinion::detail::require_callable<decltype(f)>();
}
