#include <doctest/doctest.h>

#include <thread>

#include "lib/os/fork_guard.hpp"
#include "tests/unit/child.hpp"

using namespace pinion::tests;
using pinion::os::ForkGuard;

TEST_CASE("the process that made it is told from its children and their children") {
  const ForkGuard guard;
  CHECK(guard.same_process());
  CHECK(in_child([&] {
          if (guard.same_process()) return 1;
          return in_child([&] { return guard.same_process() ? 2 : 0; });
        }) == 0);
  CHECK(guard.same_process());  // a child changes nothing here
}

TEST_CASE("all threads of a process are the same process") {
  const ForkGuard guard;
  bool same = false;
  std::thread([&] { same = guard.same_process(); }).join();
  CHECK(same);
}

TEST_CASE("a child's own guard knows the child") {
  const ForkGuard ours;
  CHECK(in_child([&] {
          const ForkGuard own;
          if (!own.same_process() || ours.same_process()) return 1;
          return in_child([&] { return own.same_process() || ours.same_process() ? 2 : 0; });
        }) == 0);
}
