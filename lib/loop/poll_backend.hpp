// The backend on epoll: a transfer is done when its descriptor is ready. What cannot be polled,
// files and their names, goes to helper threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/loop/backend.hpp"
#include "lib/loop/completions.hpp"
#include "lib/loop/file_helpers.hpp"
#include "lib/os/fd.hpp"

namespace pinion::loop {

class PollBackend final : public Backend {
 public:
  explicit PollBackend(Completions& completions);
  ~PollBackend() override;

  void arm(detail::Operation& operation) noexcept override;
  void cancel(detail::Operation& operation) noexcept override;
  std::int64_t abandon(detail::Operation& operation) noexcept override;
  void gather() override;
  void wait(std::int64_t deadline_ns) override;
  void set_wake_fd(int eventfd) noexcept override;

 private:
  /// The operations that wait for one descriptor, in their order, linked by `next`. Each event of
  /// epoll ends its entry's effect, so that there is none without waiters, and a number that is
  /// closed and taken again by another file meets no old one; but waiting again costs one call.
  struct Waiters {
    detail::Operation* first = nullptr;
    std::uint32_t events = 0;  // what epoll waits for now
    bool known = false;        // epoll has an entry, if the number is still the same file's
  };

  void arm_descriptor(detail::Operation& operation);
  void await_readiness(detail::Operation& operation);
  void arm_socket(detail::Operation& operation);
  void arm_file(detail::Operation& operation) noexcept;
  int update(int fd) noexcept;
  bool end_open(detail::Operation& operation) noexcept;
  void remove(detail::Operation& operation) noexcept;
  void descriptor_ready(int fd, std::uint32_t events) noexcept;
  void files_done() noexcept;
  bool collect(std::int64_t timeout_ns);
  int epoll(void* events, std::int64_t timeout_ns) noexcept;

  Completions& completions_;
  os::Fd epoll_;
  std::vector<Waiters> waiters_;  // by descriptor
  FileHelpers helpers_;           // made at once: later, descriptors may be short
  bool nanoseconds_ = true;  // epoll_pwait2 is there
  int wake_fd_ = -1;
};

}  // namespace pinion::loop
