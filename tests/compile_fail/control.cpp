// must compile
#include <pinion/detail/callable_check.hpp>

struct Entry {
  std::string name;
  std::vector<double> values;
};
std::size_t f(const Entry& entry, std::string text, int&& number);
void check() { pinion::detail::require_callable<decltype(f), Entry, const char(&)[4], short>(); }
