// A worker that does honest work while its siblings die: nothing that happens to them may reach it.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>
#include <pinion/pinion.hpp>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "support/eventually.hpp"
#include "tests/fault/shared.hpp"

namespace checks {

struct BystanderPage {
  std::atomic<pid_t> pid{0};
  std::atomic<std::uint64_t> rounds{0};
  std::atomic<bool> stop{false};
};
/// Made when the program begins, so before any pool.
inline const Shared<BystanderPage> bystander_page;

struct BystanderReport {
  pid_t pid;
  std::uint64_t rounds;
  std::uint64_t sum;
};

/// One round over memory that nobody else may touch.
inline std::uint64_t mix(std::vector<std::uint64_t>& numbers, std::uint64_t sum) {
  for (std::uint64_t& n : numbers) {
    n = n * 6364136223846793005U + 1442695040888963407U;
    sum = (sum << 7 | sum >> 57) ^ n;
  }
  return sum;
}
inline std::vector<std::uint64_t> numbers_to_mix() { return std::vector<std::uint64_t>(512, 7); }

/// The task: until it is told to stop.
inline BystanderReport stand_by() {
  BystanderPage& page = *bystander_page;
  auto numbers = numbers_to_mix();
  BystanderReport report{::getpid(), 0, 0};
  page.pid = report.pid;
  while (!page.stop) {
    report.sum = mix(numbers, report.sum);
    ++report.rounds;
    page.rounds = report.rounds;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return report;
}

/// Occupies one worker of a pool from its making to `leave`.
class Bystander {
 public:
  explicit Bystander(pinion::Pool& pool) {
    bystander_page->pid = 0;
    bystander_page->rounds = 0;
    bystander_page->stop = false;
    result_ = pool.apply_async(stand_by);
    REQUIRE(eventually([] { return bystander_page->pid != 0; }));
  }
  Bystander(const Bystander&) = delete;
  Bystander& operator=(const Bystander&) = delete;
  ~Bystander() { bystander_page->stop = true; }

  [[nodiscard]] pid_t pid() const { return bystander_page->pid; }
  [[nodiscard]] std::uint64_t rounds() const { return bystander_page->rounds; }
  /// Whether it gets on with its work.
  [[nodiscard]] bool gets_on() const {
    const auto before = rounds();
    return eventually([&] { return rounds() > before; });
  }

  /// Ends it, and looks at what it has: the same process, and the sum of all of its rounds.
  void leave() {
    bystander_page->stop = true;
    const pid_t before = pid();
    const BystanderReport report = result_.get(std::chrono::seconds(30));
    CHECK(report.pid == before);
    auto numbers = numbers_to_mix();
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < report.rounds; ++i) sum = mix(numbers, sum);
    CHECK(report.sum == sum);
  }

 private:
  pinion::AsyncResult<BystanderReport> result_;
};

}  // namespace checks
