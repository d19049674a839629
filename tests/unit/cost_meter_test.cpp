#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <thread>

#include "workers/cost_meter.hpp"

using namespace std::chrono_literals;
using pinion::workers::CostMeter;
namespace os = pinion::os;

namespace {

void work(std::int64_t ns) {
  const std::int64_t end = os::now_ns() + ns;
  while (os::now_ns() < end) {
  }
}

/// Whether it holds at one attempt of many: others may take the core at any moment, and then a
/// short task is a long one.
template <class Attempt>
bool holds_undisturbed(Attempt attempt) {
  for (int i = 0; i < 50; ++i) {
    if (attempt()) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("tasks that follow each other are measured, at first after one, then sixteen a look") {
  CHECK(holds_undisturbed([] {
    CostMeter meter;
    if (meter.task_ended(true) != 0) return false;  // its beginning is not known
    if (meter.task_ended(true) == 0) return false;
    for (int look = 0; look < 3; ++look) {
      for (int i = 0; i < 15; ++i) {
        if (meter.task_ended(true) != 0) return false;
      }
      if (meter.task_ended(true) == 0) return false;
    }
    return true;
  }));
}

TEST_CASE("what is measured is the mean cost of a task") {
  CHECK(holds_undisturbed([] {
    CostMeter meter;
    meter.task_ended(true);
    work(2'000);
    const std::uint32_t first = meter.task_ended(true);
    if (first < 2'000 || first > 4'000) return false;
    for (int i = 0; i < 15; ++i) {
      work(2'000);
      if (meter.task_ended(true) != 0) return false;
    }
    work(2'000);
    const std::uint32_t cost = meter.task_ended(true);
    return cost >= 2'000 && cost <= 4'000;
  }));
}

TEST_CASE("long tasks are measured one by one") {
  CostMeter meter;
  meter.task_ended(true);
  for (int i = 0; i < 5; ++i) {
    work(30'000);
    CHECK(meter.task_ended(true) >= 30'000);
  }
}

TEST_CASE("a pause between tasks is not taken for work") {
  CHECK(holds_undisturbed([] {
    CostMeter meter;
    meter.task_ended(true);
    meter.task_ended(true);
    if (meter.task_ended(false) != 0) return false;
    std::this_thread::sleep_for(20ms);
    if (meter.task_ended(true) != 0) return false;
    for (int i = 0; i < 16; ++i) {
      if (const std::uint32_t cost = meter.task_ended(true)) return cost < 1'000'000;
    }
    return false;
  }));
}

TEST_CASE("a chunk's cost is that of one of its items, within what a slot can say") {
  const std::int64_t now = os::now_ns();
  const std::uint32_t cost = CostMeter::of_chunk(now - 1'000'000, 10);
  CHECK(cost >= 100'000);
  CHECK(cost < 10'000'000);
  CHECK(CostMeter::of_chunk(now - 1'000'000, 0) >= 1'000'000);  // no item was done
  CHECK(CostMeter::of_chunk(now - 60'000'000'000, 1) == 0xffff'ffff);
  CHECK(CostMeter::of_chunk(now, 0xffff'ffff) == 1);  // 0 would mean: not measured
}
