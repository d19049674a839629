#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
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

}  // namespace

TEST_CASE("tasks that follow each other are measured, at first after one, then sixteen a look") {
  CostMeter meter;
  CHECK(meter.task_ended(true) == 0);  // its beginning is not known
  CHECK(meter.task_ended(true) > 0);
  for (int look = 0; look < 3; ++look) {
    for (int i = 0; i < 15; ++i) CHECK(meter.task_ended(true) == 0);
    CHECK(meter.task_ended(true) > 0);
  }
}

TEST_CASE("what is measured is the mean cost of a task") {
  CostMeter meter;
  meter.task_ended(true);
  work(2'000);
  CHECK(meter.task_ended(true) >= 2'000);
  const std::int64_t begin = os::now_ns();
  std::uint32_t cost = 0;
  for (int i = 0; i < 16; ++i) {
    work(2'000);
    cost = meter.task_ended(true);
  }
  CHECK(cost >= 1'900);
  CHECK(cost <= (os::now_ns() - begin) / 16 + 1'000);
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
  CostMeter meter;
  meter.task_ended(true);
  meter.task_ended(true);
  CHECK(meter.task_ended(false) == 0);
  std::this_thread::sleep_for(50ms);
  CHECK(meter.task_ended(true) == 0);
  for (int i = 0; i < 15; ++i) CHECK(meter.task_ended(true) == 0);
  CHECK(meter.task_ended(true) < 1'000'000);
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
