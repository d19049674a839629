// What a scenario's threads do to memory, step by step.

#include <cstdlib>

#include "tests/explore/explorer.hpp"

namespace explore {

namespace {

/// The kernel, or a lock, has the newest value.
class Newest final : public Chooser {
 public:
  unsigned choose(unsigned) override { return 0; }
};

std::string ordered(Order order) {
  if (order.sc) return " (seq_cst)";
  if (order.acquire && order.release) return " (acq_rel)";
  if (order.acquire) return " (acquire)";
  return order.release ? " (release)" : "";
}

}  // namespace

Location Explorer::add(Value initial) {
  const Location at = memory_->add(initial);
  if (at >= locations_max) std::abort();
  return at;
}

Value Explorer::load(Location at, Order order) {
  if (!running_) return memory_->look(at);
  point({Operation::load, at, order.sc, 0});
  threads_[now_].looked_at = at;
  threads_[now_].seen = written_[at];
  const Value value = memory_->load(now_, at, order, *this);
  threads_[now_].looked_value = value;
  if (tracing_) note(now_, "load  " + place(at) + " = " + std::to_string(value) + ordered(order));
  return value;
}

void Explorer::store(Location at, Value value, Order order) {
  if (!running_) return memory_->put(at, value);
  point({Operation::store, at, order.sc, 0});
  if (options_.model == Model::weak || order.sc) wrote(at);
  memory_->store(now_, at, value, order, *this);
  if (tracing_) note(now_, "store " + place(at) + " = " + std::to_string(value) + ordered(order));
}

Value Explorer::update(Location at, const Change& change, Order order) {
  if (!running_) {
    const Value read = memory_->look(at);
    if (change.writes(read)) memory_->put(at, change.apply(read));
    return read;
  }
  point({Operation::update, at, order.sc, 0});
  const Value read = memory_->update(now_, at, change, order, *this);
  if (change.writes(read)) wrote(at);
  if (tracing_) {
    note(now_, "update " + place(at) + " from " + std::to_string(read) +
                   (change.writes(read) ? " to " + std::to_string(change.apply(read))
                                        : std::string(", and fails")) +
                   ordered(order));
  }
  return read;
}

void Explorer::fence() {
  point({Operation::fence, 0, false, 0});
  memory_->fence(now_);
  if (tracing_) note(now_, "fence");
}

/// A fence of the caller, of each other thread, and of the caller again.
void Explorer::membarrier() {
  fence();
  unsigned left[threads_max];
  unsigned count = 0;
  for (unsigned t = 0; t < threads_count_; ++t) {
    if (t != now_) left[count++] = t;
  }
  while (count != 0) {
    const unsigned i = choose(count);
    const unsigned other = left[i];
    left[i] = left[--count];
    point({Operation::barrier, 0, false, other});
    memory_->fence(other);
    if (tracing_) note(now_, "membarrier reaches " + std::to_string(other));
  }
  fence();
}

/// The kernel sees to it that either this sees what was stored before a wake, or the wake sees
/// this. That is all that is relied on: to the rest of memory it is no barrier.
void Explorer::futex_wait(Location at, Value expected) {
  point({Operation::wait, at, false, 0});
  Newest newest;
  const Value value = memory_->load(now_, at, Order{}, newest);
  if (tracing_) {
    note(now_, "sleeps on " + place(at) + (value == expected ? "" : ": it has changed"));
  }
  if (value != expected) return;
  Thread& me = threads_[now_];
  me.state = State::blocked;
  me.sleeps_on = at;
  me.next = Operation{};
  schedule();
}

void Explorer::futex_wake(Location at, int count) {
  point({Operation::wake, at, false, 0});
  if (tracing_) note(now_, "wakes who sleeps on " + place(at));
  for (unsigned t = 0; t < threads_count_ && count > 0; ++t) {
    Thread& thread = threads_[t];
    if (thread.state != State::blocked || thread.sleeps_on != at) continue;
    thread.state = State::ready;
    races_.woken(t, now_);
    --count;
  }
}

void Explorer::take_event(Location at) {
  point({Operation::take, at, false, 0});
  Change change;
  change.operand = 0;
  Newest newest;
  memory_->update(now_, at, change, {true, true, false}, newest);
  if (tracing_) note(now_, "takes the event " + place(at));
}

void Explorer::lock(Location at) {
  point({Operation::lock, at, false, 0});
  Change change;
  change.operand = 1;
  Newest newest;
  memory_->update(now_, at, change, {true, false, false}, newest);
  if (tracing_) note(now_, "locks " + place(at));
}

void Explorer::unlock(Location at) { store(at, 0, {false, true, false}); }

void Explorer::pause() {
  threads_[now_].shown = false;
  point({Operation::pause, threads_[now_].looked_at, false, 0});
}

void Explorer::note(unsigned thread, const std::string& what) {
  trace_ += std::string(4 * std::size_t{thread}, ' ') + std::to_string(thread) + ": " + what + "\n";
}

std::string Explorer::place(Location at) const {
  return names_[at] != nullptr ? names_[at] : "word " + std::to_string(at);
}

}  // namespace explore
