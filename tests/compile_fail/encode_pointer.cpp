// expect: a raw pointer cannot travel
#include <pinion/detail/callable_check.hpp>

void check(pinion::detail::Writer& to, int* p) { pinion::detail::encode(to, p); }
