// The dispatcher's control messages: they need a slot, but no flight.

#include <algorithm>
#include <iterator>

#include "lib/pool/dispatcher.hpp"

namespace pinion::pool {

void Dispatcher::control(Lane& lane, ring::TaskMessage message) {
  lane.controls_waiting.push_back(message);
  flush_controls(lane);
}

bool Dispatcher::flush_all_controls() {
  bool waiting = false;
  for (const auto& lane : state_.lanes) {
    if (!lane->alive() || lane->controls_waiting.empty()) continue;
    flush_controls(*lane);
    waiting |= !lane->controls_waiting.empty();
  }
  state_.controls_waiting.store(waiting, std::memory_order_relaxed);
  return waiting;
}

void Dispatcher::flush_controls(Lane& lane) {
  if (lane.controls_waiting.empty()) return;
  const ring::WorkerLine& theirs = lane.worker_line();
  while (!lane.controls_waiting.empty()) {
    if (lane.controls.size() >= state_.capacity.controls()) {
      // What the worker says of its reading is bounded by what there is to read; a lie overwrites
      // its own unread slots only.
      const std::uint64_t read = std::max(theirs.claimed.load(std::memory_order_acquire),
                                          theirs.read.load(std::memory_order_acquire));
      while (!lane.controls.empty() && lane.controls.front() < read) lane.controls.pop_front();
      if (lane.controls.size() >= state_.capacity.controls() &&
          ring::built_mutant != ring::Mutant::no_credit) {
        state_.controls_waiting.store(true, std::memory_order_relaxed);
        return;
      }
    }
    lane.controls.push_back(lane.tasks.position());
    lane.tasks.push(lane.controls_waiting.front());
    lane.controls_waiting.pop_front();
    state_.must_ring(lane, true);
  }
}

void Dispatcher::flush_give_backs(Lane& lane, bool all) {
  constexpr std::size_t batch = std::size(ring::Payload{}.words);
  while (lane.give_backs.size() >= (all ? 1 : batch)) {
    ring::TaskMessage message{};
    message.flight = ring::no_flight;
    message.kind = ring::TaskKind::give_back;
    message.count = static_cast<std::uint32_t>(std::min(batch, lane.give_backs.size()));
    for (std::uint32_t i = 0; i < message.count; ++i) {
      message.payload.words[i] = lane.give_backs.back();
      lane.give_backs.pop_back();
    }
    control(lane, message);
  }
}

}  // namespace pinion::pool
