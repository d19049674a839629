// expect: a pinion::ArrayView cannot travel as a value
#include <pinion/pinion.hpp>

double f(pinion::ArrayView<double>);
void check() { pinion::detail::require_callable<decltype(f), pinion::ArrayView<double>>(); }
