// Threads that do what cannot be polled: reading and writing files on disks, opening, syncing.
#pragma once

#include <pinion/detail/operation.hpp>

#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "lib/os/fd.hpp"

namespace pinion::loop {

/// At most four threads, started as they are needed. All members are for the loop's thread.
class FileHelpers {
 public:
  FileHelpers();
  FileHelpers(const FileHelpers&) = delete;
  FileHelpers& operator=(const FileHelpers&) = delete;
  /// Waits for the operations that run; those that have not begun are dropped.
  ~FileHelpers();

  /// Readable when something is done.
  [[nodiscard]] int eventfd() const noexcept { return done_event_.get(); }

  /// Queues an operation. False where it could not be: no thread to be had, or no memory.
  bool submit(detail::Operation& operation) noexcept;
  /// Takes back an operation that has not begun. False where it runs or is done.
  bool take_back(detail::Operation& operation) noexcept;
  /// Returns when the operation is done; it is then not among those that `done` gives.
  void wait_for(detail::Operation& operation) noexcept;
  /// The same for an operation that runs, at most so long: whether it was done.
  bool wait_for(detail::Operation& operation, std::chrono::milliseconds limit) noexcept;
  /// Lets those go on that wait for the other end of a FIFO. See `release_fifo`.
  void release_fifos() noexcept;
  /// The operations that are done, their results in place, linked by `next`.
  detail::Operation* done() noexcept;

 private:
  static constexpr std::size_t threads_max = 4;  // what a disk queue needs to stay busy

  void run() noexcept;
  bool start_thread() noexcept;
  bool take_done(detail::Operation& operation) noexcept;

  os::Fd done_event_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable progress_;
  std::deque<detail::Operation*> queue_;
  std::array<detail::Operation*, threads_max> running_{};  // null where a thread has none
  detail::Operation* done_ = nullptr;
  std::size_t idle_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace pinion::loop
