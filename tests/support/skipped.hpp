// A case of a test that cannot run here: a line "skipped CASE: why" says so, and is counted
// (tools/count_tests.py). A whole program that cannot run ends with 77.
#pragma once

#include <doctest/doctest.h>

#include <cstdio>
#include <string>

namespace checks {

/// Says that the case, or what is left of it, cannot run here. Said once a case.
inline void skip(const std::string& why) {
  const auto* const test = doctest::getContextOptions()->currentTest;
  static const void* said = nullptr;
  if (said == test) return;
  said = test;
  std::printf("skipped %s: %s\n", test == nullptr ? "a case" : test->m_name, why.c_str());
  std::fflush(stdout);
}

}  // namespace checks
