// What the tests of a protocol say about it: it holds in every order, or a fault is found.
#pragma once

#include <doctest/doctest.h>

#include <cstdio>
#include <string>

#include "tests/explore/atomics.hpp"

namespace explore {

inline std::string name_of(Model model) { return model == Model::tso ? "tso" : "weak"; }

/// Every order was tried, and nothing was wrong in any. Prints how many that were.
template <class Scenario>
void expect_right(const char* what, const Options& options) {
  const Result result = explore<Scenario>(options);
  std::printf("%s, %s: %llu executions%s, up to %zu steps\n", what, name_of(options.model).c_str(),
              static_cast<unsigned long long>(result.executions),
              options.random_executions != 0              ? " at random"
              : options.preemptions == Options::unlimited ? ""
                                                          : " within the bound",
              result.steps_max);
  INFO(what);
  INFO(name_of(options.model));
  INFO(result.trace);
  CHECK(result.failure == "");
  CHECK((result.complete || options.random_executions != 0));
}

/// What the explorer says of threads that wait for each other.
inline constexpr const char* stuck = "stuck: somebody waits, and nobody will end it";

/// There is an order in which it goes wrong, and it is found: by this failure.
template <class Scenario>
void expect_found(const char* what, const std::string& failure, const Options& options) {
  const Result result = explore<Scenario>(options);
  std::printf("%s, %s: found after %llu executions: %s\n", what, name_of(options.model).c_str(),
              static_cast<unsigned long long>(result.executions), result.failure.c_str());
  INFO(what);
  INFO(name_of(options.model));
  CHECK(result.failure == failure);
  CHECK(result.trace != "");
}

inline Options in(Model model, unsigned preemptions = Options::unlimited) {
  Options options;
  options.model = model;
  options.preemptions = preemptions;
  return options;
}

}  // namespace explore
