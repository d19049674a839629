#include "lib/pool/in_place.hpp"

#include <chrono>

#include "lib/os/clock.hpp"

namespace pinion::pool {

namespace {

constinit thread_local InPlace::Turn* innermost = nullptr;

}  // namespace

InPlace::Turn::Turn(InPlace& place, std::int64_t deadline_ns) : place_(place) {
  std::unique_lock lock(place_.mutex_);
  const auto free = [&] { return place_.holder_ == 0; };
  if (deadline_ns == os::never_ns) {
    place_.changed_.wait(lock, free);
  } else {
    const auto until = std::chrono::steady_clock::time_point(std::chrono::nanoseconds(deadline_ns));
    if (!place_.changed_.wait_until(lock, until, free)) return;
  }
  number_ = place_.holder_ = ++place_.turns_;
  outer_ = innermost;
  innermost = this;
}

InPlace::Turn::~Turn() {
  if (number_ == 0) return;
  innermost = outer_;
  const std::lock_guard lock(place_.mutex_);
  if (place_.holder_ != number_) return;
  place_.holder_ = 0;
  place_.changed_.notify_one();
}

InPlace::Turn::operator bool() const noexcept {
  const std::lock_guard lock(place_.mutex_);
  return number_ != 0 && place_.holder_ == number_;
}

bool InPlace::inside() const noexcept {
  for (const Turn* turn = innermost; turn != nullptr; turn = turn->outer_) {
    if (&turn->place_ == this) return true;
  }
  return false;
}

void InPlace::revoke() noexcept {
  const std::lock_guard lock(mutex_);
  holder_ = 0;
  changed_.notify_all();
}

}  // namespace pinion::pool
