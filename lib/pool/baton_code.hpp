// What the baton does. Included where it is made for the machine (baton.cpp), and by tests that
// make it for a model of memory.
#pragma once

#include "lib/pool/baton.hpp"

namespace pinion::pool {

template <class Atomics, class Mutex>
void BasicBaton<Atomics, Mutex>::leave() noexcept {
  if (Atomics::mutant == ring::Mutant::lost_baton) {
    holder_.store(static_cast<std::uint32_t>(Holder::nobody), std::memory_order_seq_cst);
    return;
  }
  for (;;) {
    if (listed_.load(std::memory_order_seq_cst) == 0) {
      holder_.store(static_cast<std::uint32_t>(Holder::nobody), std::memory_order_seq_cst);
      if (listed_.load(std::memory_order_seq_cst) == 0) return;  // EDGE baton
      if (!try_take(Holder::caller)) return;  // somebody else has it, and will see the list
    }
    const std::lock_guard lock(mutex_);
    Waiter* waiter = pick();
    if (waiter == nullptr) continue;  // they have all been told meanwhile
    unlink(*waiter);
    set_holder(Holder::caller);
    // Under the lock: a waiter that was handed it takes the lock before its word goes away.
    waiter->word.store(Waiter::handed, std::memory_order_release);
    Atomics::futex_wake(waiter->word, 1);
    return;
  }
}

template <class Atomics, class Mutex>
auto BasicBaton<Atomics, Mutex>::pick() noexcept -> Waiter* {
  for (Waiter* w = first_; w != nullptr; w = w->next) {
    if (w->urgent) return w;
  }
  return first_;
}

template <class Atomics, class Mutex>
void BasicBaton<Atomics, Mutex>::enlist(Waiter& waiter) noexcept {
  const std::lock_guard lock(mutex_);
  waiter.word.store(Waiter::waiting, std::memory_order_relaxed);
  waiter.previous = last_;
  waiter.next = nullptr;
  (last_ != nullptr ? last_->next : first_) = &waiter;
  last_ = &waiter;
  if (waiter.urgent) urgent_.fetch_add(1, std::memory_order_seq_cst);
  listed_.fetch_add(1, std::memory_order_seq_cst);  // EDGE baton
}

template <class Atomics, class Mutex>
void BasicBaton<Atomics, Mutex>::unlink(Waiter& waiter) noexcept {
  (waiter.previous != nullptr ? waiter.previous->next : first_) = waiter.next;
  (waiter.next != nullptr ? waiter.next->previous : last_) = waiter.previous;
  if (waiter.urgent) urgent_.fetch_sub(1, std::memory_order_seq_cst);
  listed_.fetch_sub(1, std::memory_order_seq_cst);
}

template <class Atomics, class Mutex>
bool BasicBaton<Atomics, Mutex>::delist(Waiter& waiter) noexcept {
  const std::lock_guard lock(mutex_);
  switch (waiter.word.load(std::memory_order_relaxed)) {
    case Waiter::waiting:
      unlink(waiter);
      return false;
    case Waiter::handed:
      return true;
    default:
      return false;
  }
}

template <class Atomics, class Mutex>
void BasicBaton<Atomics, Mutex>::tell(const void* subject) noexcept {
  if (listed_.load(std::memory_order_seq_cst) == 0) return;
  if (Atomics::mutant == ring::Mutant::lost_telling) return;
  const std::lock_guard lock(mutex_);
  for (Waiter* w = first_; w != nullptr;) {
    Waiter* const next = w->next;
    if (w->subject == subject) {
      unlink(*w);
      w->word.store(Waiter::told, std::memory_order_release);
      Atomics::futex_wake(w->word, 1);
    }
    w = next;
  }
}

}  // namespace pinion::pool
