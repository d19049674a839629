// Invariants of our own, kept in release builds too. What a peer wrote is data and never comes
// here.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace pinion::os {

[[noreturn]] [[gnu::cold]] inline void broken_invariant(const char* text, const char* file,
                                                        int line) noexcept {
  std::fprintf(stderr, "pinion: broken invariant: %s (%s:%d)\n", text, file, line);
  std::abort();
}

}  // namespace pinion::os

// A macro only because it must name the place.
#define PINION_ENSURE(condition)                       \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::pinion::os::broken_invariant(#condition, __FILE__, __LINE__))
