// The entry of tests that make pools by any start method: PINION_TEST_START names the default one.
#define DOCTEST_CONFIG_NO_SHORT_MACRO_NAMES
#include <doctest/doctest.h>
#include <pinion/init.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

int main(int argc, char** argv) {
  pinion::init(argc, argv);
  if (const char* const name = std::getenv("PINION_TEST_START")) {
    const std::string method(name);
    if (method == "fork") {
      pinion::set_start_method(pinion::StartMethod::fork);
    } else if (method == "forkserver") {
      pinion::set_start_method(pinion::StartMethod::forkserver);
    } else if (method == "spawn") {
      pinion::set_start_method(pinion::StartMethod::spawn);
    } else if (method == "thread") {
      pinion::set_start_method(pinion::StartMethod::thread);
    } else if (method == "serial") {
      pinion::set_start_method(pinion::StartMethod::serial);
    } else {
      std::fprintf(stderr, "PINION_TEST_START is no start method: %s\n", name);
      return 2;
    }
  }
  return doctest::Context(argc, argv).run();
}
