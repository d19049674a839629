#include <doctest/doctest.h>
#include <pinion/time_limit.hpp>

#include <chrono>
#include <cstdint>
#include <limits>

#include "lib/os/clock.hpp"

using namespace std::chrono_literals;
using pinion::Duration;
using pinion::TimeLimit;
namespace os = pinion::os;

namespace {

template <class Rep>
using Seconds = std::chrono::duration<Rep>;

constexpr std::int64_t ns_max = std::numeric_limits<std::int64_t>::max();

}  // namespace

TEST_CASE("a duration is nanoseconds, of whatever unit it was made") {
  static_assert(Duration().ns() == 0);
  static_assert(Duration(1ns).ns() == 1);
  static_assert(Duration(2us).ns() == 2'000);
  static_assert(Duration(3ms).ns() == 3'000'000);
  static_assert(Duration(4s).ns() == 4'000'000'000);
  static_assert(Duration(5min).ns() == 300'000'000'000);
  static_assert(Duration(Seconds<double>(0.25)).ns() == 250'000'000);
  static_assert(Duration(Seconds<float>(2.0F)).ns() == 2'000'000'000);
  static_assert(Duration(std::chrono::nanoseconds(ns_max - 1)).ns() == ns_max - 1);
  CHECK(Duration(std::chrono::duration<int, std::ratio<1, 3>>(1)).ns() == 333'333'333);
}

TEST_CASE("what is too long is as long as can be") {
  static_assert(Duration::ns_max == ns_max);
  CHECK(Duration(std::chrono::hours::max()).ns() == ns_max);
  CHECK(Duration(std::chrono::seconds::max()).ns() == ns_max);
  CHECK(Duration(std::chrono::nanoseconds::max()).ns() == ns_max);
  CHECK(Duration(std::chrono::duration<std::uint64_t>(~std::uint64_t{0})).ns() == ns_max);
  CHECK(Duration(Seconds<double>(1e300)).ns() == ns_max);
  CHECK(Duration(Seconds<double>(std::numeric_limits<double>::infinity())).ns() == ns_max);
  CHECK(Duration(std::chrono::duration<double, std::ratio<1'000'000'000>>(1e10)).ns() == ns_max);
}

TEST_CASE("zero, negative and no number at all mean: look once") {
  static_assert(Duration(0s).ns() == 0);
  static_assert(Duration(-1ns).ns() == 0);
  CHECK(Duration(std::chrono::hours::min()).ns() == 0);
  CHECK(Duration(std::chrono::nanoseconds::min()).ns() == 0);
  CHECK(Duration(Seconds<double>(-1e300)).ns() == 0);
  CHECK(Duration(Seconds<double>(std::numeric_limits<double>::quiet_NaN())).ns() == 0);
  CHECK(Duration(Seconds<double>(-0.0)).ns() == 0);
  CHECK(Duration(Seconds<double>(1e-12)).ns() == 0);
}

TEST_CASE("a limit is none until it is given one") {
  static_assert(!TimeLimit().limited());
  static_assert(TimeLimit().ns() == ns_max);
  static_assert(TimeLimit(1s).limited());
  static_assert(TimeLimit(1s).ns() == 1'000'000'000);
  static_assert(TimeLimit(0s).limited());  // of no time at all
  static_assert(TimeLimit(-5s).ns() == 0);
  static_assert(TimeLimit(Duration(2ms)).ns() == 2'000'000);
  CHECK_FALSE(TimeLimit(std::chrono::hours::max()).limited());  // as good as none
}

TEST_CASE("deadlines do not wrap") {
  CHECK(os::add_ns(5, 7) == 12);
  CHECK(os::add_ns(os::never_ns, 0) == os::never_ns);
  CHECK(os::add_ns(os::never_ns, os::never_ns) == os::never_ns);
  CHECK(os::add_ns(1, os::never_ns) == os::never_ns);
  CHECK(os::add_ns(1, os::never_ns - 1) == os::never_ns);
  CHECK(os::deadline_ns(os::never_ns) == os::never_ns);
  const std::int64_t before = os::now_ns();
  const std::int64_t deadline = os::deadline_ns(1'000'000'000);
  CHECK(deadline >= before + 1'000'000'000);
  CHECK(deadline <= os::now_ns() + 1'000'000'000);
  CHECK(os::to_timespec(3'000'000'001).tv_sec == 3);
  CHECK(os::to_timespec(3'000'000'001).tv_nsec == 1);
}
