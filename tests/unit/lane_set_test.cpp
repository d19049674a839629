#include <doctest/doctest.h>

#include <random>
#include <set>

#include "lib/pool/lane_set.hpp"

using pinion::pool::LaneSet;

namespace {

int expected_next(const std::set<unsigned>& members, unsigned from) {
  if (members.empty()) return -1;
  const auto it = members.lower_bound(from);
  return static_cast<int>(it != members.end() ? *it : *members.begin());
}

}  // namespace

TEST_CASE("next finds the first member at or after a number, round the end") {
  LaneSet set(130);
  for (const unsigned from : {0U, 64U, 129U}) CHECK(set.next(from) == -1);
  set.set(70, true);
  for (const unsigned from : {0U, 63U, 64U, 70U, 71U, 128U, 129U}) CHECK(set.next(from) == 70);
  set.set(3, true);
  CHECK(set.next(0) == 3);
  CHECK(set.next(3) == 3);
  CHECK(set.next(4) == 70);
  CHECK(set.next(71) == 3);
  set.set(3, false);
  set.set(70, false);
  CHECK(set.next(0) == -1);
}

TEST_CASE("a set of any size behaves like a set") {
  for (const unsigned lanes : {1U, 2U, 63U, 64U, 65U, 128U, 200U, 4096U}) {
    CAPTURE(lanes);
    std::mt19937 random(lanes);
    LaneSet set(lanes);
    std::set<unsigned> model;
    for (int step = 0; step < 20'000; ++step) {
      const auto lane = static_cast<unsigned>(random() % lanes);
      const bool member = random() % 100 < (step / 5000 % 2 == 0 ? 30U : 2U);
      set.set(lane, member);
      if (member) {
        model.insert(lane);
      } else {
        model.erase(lane);
      }
      const auto from = static_cast<unsigned>(random() % (lanes + 1));  // also one past the last
      if (set.next(from) != expected_next(model, from)) FAIL("from " << from);
    }
  }
}
