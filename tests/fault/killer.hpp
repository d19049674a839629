// A thread that harms the workers of a pool at random: kills, stops and continues them. It kills
// only after something has ended since its last kill: on a machine where a birth takes longer than
// it waits, nothing would ever end.
#pragma once

#include <pinion/pool.hpp>

#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "tests/fault/workers.hpp"

namespace checks {

/// How often it does what, in percent; for the rest it continues somebody, stopped or not.
struct Harm {
  unsigned kill = 60;
  unsigned stop = 25;
  std::chrono::microseconds stopped_max{20000};
  std::chrono::microseconds pause_max{5000};
};

class Killer {
 public:
  struct Counts {
    std::uint64_t kills = 0;
    std::uint64_t stops = 0;
    std::uint64_t continues = 0;
  };

  Killer(const pinion::Pool& pool, std::uint64_t seed, Harm harm = {})
      : pool_(pool), harm_(harm), random_(seed), thread_([this] { run(); }) {}
  Killer(const Killer&) = delete;
  Killer& operator=(const Killer&) = delete;
  ~Killer() { stop(); }

  /// Ends it; who is stopped goes on, and who was killed is gone.
  Counts stop() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
    return counts_;
  }

 private:
  struct Stopped {
    Target target;
    Clock::time_point until;
  };

  void run() {
    while (!over_) {
      std::this_thread::sleep_for(at_most(harm_.pause_max));
      let_go(false);
      harm_one();
    }
    let_go(true);
    for (const Target& target : killed_) static_cast<void>(target.ends(20s));
  }

  std::chrono::microseconds at_most(std::chrono::microseconds most) {
    return std::chrono::microseconds(random_() % static_cast<std::uint64_t>(most.count()));
  }

  void harm_one() {
    const auto found = pids(pool_);
    if (found.empty()) return;
    Target target(found[random_() % found.size()]);
    const auto choice = random_() % 100;
    if (choice < harm_.kill) {
      const auto stats = pool_.stats();
      const std::uint64_t ended = stats.completed + stats.failed;
      if (std::exchange(ended_, ended) == ended) return;
      if (!target.send(SIGKILL)) return;
      ++counts_.kills;
      std::erase_if(killed_, [](const Target& one) { return one.ends(0ms); });
      killed_.push_back(std::move(target));
    } else if (choice < harm_.kill + harm_.stop) {
      if (!target.send(SIGSTOP)) return;
      ++counts_.stops;
      stopped_.push_back({std::move(target), Clock::now() + at_most(harm_.stopped_max)});
    } else {
      counts_.continues += target.send(SIGCONT);
    }
  }

  void let_go(bool all) {
    std::erase_if(stopped_, [&](const Stopped& one) {
      if (!all && Clock::now() < one.until) return false;
      one.target.send(SIGCONT);
      return true;
    });
  }

  const pinion::Pool& pool_;
  Harm harm_;
  std::mt19937_64 random_;
  std::vector<Stopped> stopped_;
  std::vector<Target> killed_;  // that may not have ended yet
  std::uint64_t ended_ = 0;     // items, at the last kill
  Counts counts_;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

}  // namespace checks
