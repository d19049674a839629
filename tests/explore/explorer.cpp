#include "tests/explore/explorer.hpp"

#include <algorithm>
#include <cstdlib>

namespace explore {

namespace {

constexpr std::size_t steps_max = 5'000;  // of one execution: it does not end

}  // namespace

Explorer::Explorer(const Options& options, unsigned threads)
    : options_(options),
      threads_count_(threads),
      memory_(Memory::make(options.model)),
      reduced_(options.preemptions == Options::unlimited && options.random_executions == 0),
      dependent_(options.model, threads),
      races_(dependent_, threads, choices_) {
  if (threads > threads_max) std::abort();
  if (options.random_executions != 0) choices_.draw(options.seed);
}

// ---------------------------------------------------------------- executions

Result Explorer::all(void (*once)(Explorer&)) {
  Result result;
  current_ = this;
  const bool random = options_.random_executions != 0;
  const std::uint64_t most = random ? options_.random_executions : options_.executions_max;
  while (result.executions < most) {
    ++result.executions;
    memory_->reset(threads_count_);
    once(*this);
    result.steps_max = std::max(result.steps_max, steps_);
    if (!failure_.empty()) {
      // The same once more, and this time every step is written down.
      result.failure = failure_;
      choices_.cut();
      tracing_ = true;
      memory_->reset(threads_count_);
      once(*this);
      result.trace = trace_;
      break;
    }
    if (random) {
      choices_.forget();
    } else if (!choices_.next()) {
      result.complete = true;
      break;
    }
  }
  current_ = nullptr;
  return result;
}

/// Runs the scenario's threads. True when all came to their end.
bool Explorer::execute() {
  choices_.begin();
  races_.begin();
  steps_ = 0;
  written_.fill(0);
  preempted_ = 0;
  asleep_ = 0;
  pruned_ = false;
  stuck_ = false;
  failure_.clear();
  trace_.clear();
  memory_->begin();
  running_ = true;
  starting_ = true;
  for (unsigned t = 0; t < threads_count_; ++t) {
    threads_[t].state = State::ready;
    threads_[t].fiber.restart(&Explorer::begin, t);
    now_ = t;
    main_.switch_to(threads_[t].fiber);
  }
  starting_ = false;
  now_ = threads_count_;  // nobody
  if (failure_.empty()) schedule();
  running_ = false;
  return failure_.empty() && !pruned_;
}

void Explorer::begin(unsigned thread) {
  Explorer& self = current();
  self.body_(self.scenario_, thread);
  self.threads_[thread].state = State::ended;
  if (self.starting_) self.go_to_main();
  self.schedule();
  std::abort();  // nobody goes on with a thread that has ended
}

void Explorer::go_to_main() {
  Fiber& from = threads_[now_].fiber;
  from.switch_to(main_);
}

/// Ends the execution, from wherever it is.
void Explorer::stop() {
  if (now_ < threads_count_) go_to_main();
}

void Explorer::fail(const char* what) {
  if (failure_.empty()) failure_ = what;
  if (tracing_) note(now_, std::string("fails: ") + what);
  if (running_) stop();
}

// ---------------------------------------------------------------- whose turn it is

/// The running thread is about to do `operation`: others may go first. Returns when it is to.
void Explorer::point(const Operation& operation) {
  threads_[now_].next = operation;
  if (starting_) {
    go_to_main();
  } else {
    schedule();
  }
}

Operation Explorer::operation_of(Transition transition) const {
  if (transition < threads_count_) return threads_[transition].next;
  Operation flush;
  flush.kind = Operation::store;
  flush.at = memory_->next_flush(transition - threads_count_);
  return flush;
}

bool Explorer::enabled(Transition transition) const {
  if (transition >= threads_count_) return memory_->buffered(transition - threads_count_);
  const Thread& thread = threads_[transition];
  if (thread.state != State::ready) return false;
  const Operation& op = thread.next;
  if (op.empties_buffer() && memory_->buffered(transition)) return false;
  switch (op.kind) {
    case Operation::barrier:
      return !memory_->buffered(op.other);
    case Operation::take:
      return memory_->look(op.at) != 0;
    case Operation::lock:
      return memory_->look(op.at) == 0;
    case Operation::pause:
      return thread.shown || thread.seen != written_[op.at];
    default:
      return true;
  }
}

/// Whether it has nothing to wait for but its own buffer.
bool Explorer::could_go_on(unsigned thread) const {
  return enabled(thread) || (threads_[thread].state == State::ready &&
                             threads_[thread].next.empties_buffer() && memory_->buffered(thread));
}

Transitions Explorer::enabled() const {
  Transitions set = 0;
  for (Transition t = 0; t < 2 * threads_count_; ++t) set |= enabled(t) ? bit(t) : 0;
  return set;
}

/// Chooses who goes on, and switches to it. Called by whoever cannot, or need not, go on itself.
void Explorer::schedule() {
  const unsigned n = threads_count_;
  for (;;) {
    const Transitions options = enabled();
    if (options == 0) {
      if (show_everything()) continue;
      for (unsigned t = 0; t < n; ++t) stuck_ |= threads_[t].state != State::ended;
      return end_here();
    }
    if (++steps_ > steps_max) return fail("it does not end");
    const Transition chosen = reduced_ ? one_of_few(options) : one_of_all(options);
    if (pruned_) return end_here();
    if (chosen >= n) {
      const Location at = memory_->flush(chosen - n);
      wrote(at);
      if (tracing_) {
        note(chosen - n, "  shows " + place(at) + " = " + std::to_string(memory_->look(at)));
      }
      continue;
    }
    if (chosen == now_) return;
    Fiber& from = now_ < n ? threads_[now_].fiber : main_;
    now_ = chosen;
    from.switch_to(threads_[chosen].fiber);
    return;
  }
}

/// Nobody goes on, though some have something to do.
void Explorer::end_here() {
  for (Transition t = 0; reduced_ && t < 2 * threads_count_; ++t) {
    if (t >= threads_count_ ? memory_->buffered(t - threads_count_)
                            : threads_[t].state == State::ready) {
      races_.pending(t, operation_of(t));
    }
  }
  stop();
}

/// What was stored long ago has become visible to all. False: it was already.
bool Explorer::show_everything() {
  bool any = false;
  for (unsigned t = 0; t < threads_count_; ++t) {
    Thread& thread = threads_[t];
    if (thread.state != State::ready || thread.next.kind != Operation::pause) continue;
    if (memory_->look(thread.next.at) == thread.looked_value) continue;
    memory_->catch_up(t);
    thread.shown = true;
    any = true;
    races_.woken_by_all(t);
  }
  return any;
}

/// Every order, or any at random, within the bound on preemptions.
Transition Explorer::one_of_all(Transitions enabled) {
  const unsigned n = threads_count_;
  const bool can_go_on = now_ < n && could_go_on(now_);
  Transition options[transitions_max];
  unsigned count = 0;
  const bool others = !can_go_on || preempted_ < options_.preemptions;
  if (now_ < n && (enabled & bit(now_)) != 0) options[count++] = now_;
  for (Transition t = 0; t < 2 * n; ++t) {
    if (t != now_ && (enabled & bit(t)) != 0 && (others || t >= n)) options[count++] = t;
  }
  // At random, half of the time nothing is interrupted.
  const unsigned stay = options_.random_executions != 0 && can_go_on ? count : 0;
  const unsigned drawn = choose(count + stay);
  const Transition chosen = options[drawn < count ? drawn : 0];
  if (can_go_on && chosen < n && chosen != now_) ++preempted_;
  return chosen;
}

/// Those that races have asked for.
Transition Explorer::one_of_few(Transitions enabled) {
  const Choices::Turn* const turn = choices_.turn(enabled, asleep_, now_);
  if (turn == nullptr) {
    pruned_ = true;
    return 0;
  }
  const Transition taken = turn->taken;
  const Operation operation = operation_of(taken);
  const Transitions asleep = (turn->asleep | turn->tried) & ~bit(taken);
  asleep_ = 0;
  for (Transition t = 0; t < 2 * threads_count_; ++t) {
    if ((asleep & bit(t)) == 0) continue;
    if (!dependent_(t, operation_of(t), taken, operation)) asleep_ |= bit(t);
  }
  races_.step(taken, operation,
              options_.model == Model::tso && taken < threads_count_ &&
                  operation.kind == Operation::store && !operation.sc);
  return taken;
}

}  // namespace explore
