#include "lib/loop/file_helpers.hpp"

#include <algorithm>
#include <csignal>
#include <new>
#include <system_error>
#include <utility>

#include "lib/loop/file_calls.hpp"
#include "lib/os/eventfd.hpp"

namespace pinion::loop {

using detail::Operation;

namespace {

/// All signals belong to the loop's thread and the host's.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;
  ~AllSignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

FileHelpers::FileHelpers() : done_event_(os::make_eventfd()) { threads_.reserve(threads_max); }

FileHelpers::~FileHelpers() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    queue_.clear();
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool FileHelpers::start_thread() noexcept {
  const AllSignalsBlocked blocked;  // inherited by the thread
  try {
    threads_.emplace_back([this]() noexcept { run(); });
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

bool FileHelpers::submit(Operation& operation) noexcept {
  bool enough = false;
  try {
    const std::lock_guard lock(mutex_);
    queue_.push_back(&operation);
    enough = idle_ >= queue_.size();
  } catch (const std::bad_alloc&) {
    return false;
  }
  if (!enough && threads_.size() < threads_max && !start_thread() && threads_.empty())
    return !take_back(operation);
  work_.notify_one();
  return true;
}

bool FileHelpers::take_back(Operation& operation) noexcept {
  const std::lock_guard lock(mutex_);
  const auto at = std::find(queue_.begin(), queue_.end(), &operation);
  if (at == queue_.end()) return false;
  queue_.erase(at);
  return true;
}

bool FileHelpers::take_done(Operation& operation) noexcept {
  for (Operation** at = &done_; *at != nullptr; at = &(*at)->next) {
    if (*at != &operation) continue;
    *at = operation.next;
    return true;
  }
  return false;
}

void FileHelpers::wait_for(Operation& operation) noexcept {
  std::unique_lock lock(mutex_);
  progress_.wait(lock, [&] { return take_done(operation); });
}

bool FileHelpers::wait_for(Operation& operation, std::chrono::milliseconds limit) noexcept {
  std::unique_lock lock(mutex_);
  return progress_.wait_for(lock, limit, [&] { return take_done(operation); });
}

void FileHelpers::release_fifos() noexcept {
  const std::lock_guard lock(mutex_);  // none of them goes away meanwhile
  for (const Operation* const each : running_)
    if (each != nullptr && opens_fifo(*each)) release_fifo(*each);
}

Operation* FileHelpers::done() noexcept {
  os::drain_eventfd(done_event_.get());
  const std::lock_guard lock(mutex_);
  return std::exchange(done_, nullptr);
}

void FileHelpers::run() noexcept {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    work_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    --idle_;
    if (stop_) return;
    Operation& operation = *queue_.front();
    queue_.pop_front();
    Operation*& here = *std::find(running_.begin(), running_.end(), nullptr);
    here = &operation;
    lock.unlock();
    const std::int64_t result = call_file(operation);
    lock.lock();
    here = nullptr;
    operation.result = result;
    operation.next = std::exchange(done_, &operation);
    progress_.notify_all();
    os::ring_eventfd(done_event_.get());
  }
}

}  // namespace pinion::loop
