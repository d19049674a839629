#include "terminator.hpp"

#include <signal.h>

#include <algorithm>

namespace pinion::command {

void Terminator::begin(std::uint32_t place) {
  const auto [ending, is_new] = endings_.try_emplace(place, Ending{.due = Clock::now()});
  if (!is_new) return;
  board_.condemn(place);
  advance(place, ending->second, Clock::now());
}

int Terminator::end(std::uint32_t place) {
  const auto found = endings_.find(place);
  if (found == endings_.end()) return 0;
  const int signal = found->second.last_signal;
  endings_.erase(found);
  return signal;
}

void Terminator::signal_due() {
  const Clock::time_point now = Clock::now();
  for (auto& [place, ending] : endings_) {
    if (ending.due <= now) advance(place, ending, now);
  }
}

void Terminator::advance(std::uint32_t place, Ending& ending, Clock::time_point now) {
  using std::chrono::milliseconds;
  const bool over = ending.step == sequence_.size();
  const TermStep step = over ? TermStep{SIGKILL, milliseconds(1000)} : sequence_[ending.step];
  if (!board_.signal_group(place, step.signal)) {
    ending.due = now + milliseconds(10);  // its process is being made, or is about to be reaped
    return;
  }
  ending.last_signal = step.signal;
  ending.due = now + step.wait;
  if (!over) ++ending.step;
}

Terminator::Clock::time_point Terminator::next() const noexcept {
  Clock::time_point next = Clock::time_point::max();
  for (const auto& [place, ending] : endings_) next = std::min(next, ending.due);
  return next;
}

}  // namespace pinion::command
