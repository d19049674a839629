// Tests that take minutes have a short form for quick checks: PINION_TEST_SHORT is set.
#pragma once

#include <cstdlib>

namespace checks {

inline bool short_form() { return std::getenv("PINION_TEST_SHORT") != nullptr; }
/// How often something is done: so often, or that often in the short form.
inline int times(int whole, int in_short) { return short_form() ? in_short : whole; }

}  // namespace checks
