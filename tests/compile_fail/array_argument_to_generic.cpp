// expect: Use std::string.
#include <pinion/detail/callable_check.hpp>

void check() {
  auto f = [](auto text) { return text; };
  pinion::detail::require_callable<decltype(f), const char(&)[4]>();
}
