// Waiting in tests: for a condition, never for a time.
#pragma once

#include <chrono>
#include <thread>

namespace checks {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Whether `reached` becomes true in time.
template <class Reached>
bool eventually(Reached reached, std::chrono::milliseconds limit = 5s) {
  const auto end = Clock::now() + limit;
  while (!reached()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

}  // namespace checks
