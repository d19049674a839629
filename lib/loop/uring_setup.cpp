#include "lib/loop/uring_setup.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

#include "lib/os/clock.hpp"
#include "lib/os/fd.hpp"

namespace pinion::loop {

namespace {

// Locked memory is counted per user, with all workers together: small rings, 8 KiB of entries.
constexpr unsigned entries_wanted = 128;
constexpr unsigned entries_min = 32;
// One burst of completions that finds no room costs an allocation each in the kernel.
constexpr unsigned completions_per_entry = 4;
// A killed worker's ring is given back within about 30 ms; the pauses sum to 127 ms.
constexpr std::int64_t first_pause_ns = 1'000'000;
constexpr std::int64_t last_pause_ns = 64'000'000;

struct Mode {
  unsigned flags;
  const char* name;
};

// From the best to the oldest. TASKRUN_FLAG tells without a system call that there is something
// to gather.
constexpr std::array<Mode, 4> modes{{
    {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
         IORING_SETUP_SUBMIT_ALL,
     "single issuer, deferred task work"},
    {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
     "cooperative task work"},
    {IORING_SETUP_SUBMIT_ALL, "plain, submits all"},
    {0, "plain"},
}};

void pause_for(std::int64_t ns) noexcept {
  const timespec length = os::to_timespec(ns);
  (void)::clock_nanosleep(CLOCK_MONOTONIC, 0, &length, nullptr);
}

}  // namespace

bool means_not_available(int error) noexcept {
  return error == ENOSYS || error == EPERM || error == EACCES || error == EOPNOTSUPP ||
         error == EINVAL || error == EMFILE || error == ENOMEM || error == EAGAIN || error == EBUSY;
}

int Ring::make(unsigned entries) noexcept {
  int rc = -EINVAL;
  for (const Mode& mode : modes) {
    io_uring_params params{};
    params.flags = mode.flags | IORING_SETUP_CQSIZE;
    params.cq_entries = entries * completions_per_entry;
    rc = io_uring_queue_init_params(entries, &ring_, &params);
    mode_ = mode.name;
    if (rc != -EINVAL) break;
  }
  return rc;
}

Ring::Ring() {
  std::int64_t pause_ns = first_pause_ns;
  unsigned entries = entries_wanted;
  int rc = make(entries);
  while (rc == -ENOMEM && pause_ns <= last_pause_ns) {
    pause_for(pause_ns);
    pause_ns *= 2;
    rc = make(entries);
  }
  while (rc == -ENOMEM && entries > entries_min) {
    entries /= 2;
    rc = make(entries);
  }
  if (rc < 0) os::throw_errno(-rc, "io_uring_setup");
  try {
    move_descriptor_high();
    require_features();
    // A fork must not share the queues: touched in a child, they would corrupt the parent's.
    if (const int error = io_uring_ring_dontfork(&ring_); error < 0)
      os::throw_errno(-error, "keeping the io_uring queues out of forked children");
    try_it();
  } catch (...) {
    io_uring_queue_exit(&ring_);
    throw;
  }
}

Ring::~Ring() { io_uring_queue_exit(&ring_); }

void Ring::move_descriptor_high() noexcept {
  os::Fd fd = os::move_high(os::Fd(ring_.ring_fd));
  ring_.ring_fd = fd.release();
  ring_.enter_ring_fd = ring_.ring_fd;
}

void Ring::require_features() const {
  constexpr unsigned needed =
      IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_RW_CUR_POS;
  if ((ring_.features & needed) != needed)
    os::throw_errno(ENOSYS, "io_uring of this kernel lacks waiting with a time limit");
}

/// Some filters allow the setup and refuse the use. What is tried is the newest thing that the
/// backend needs: to cancel everything, of which there is nothing yet.
void Ring::try_it() {
  io_uring_prep_cancel64(io_uring_get_sqe(&ring_), 0,
                         IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
  int rc = io_uring_submit_and_wait(&ring_, 1);
  for (std::int64_t pause_ns = first_pause_ns; rc < 0;) {
    if (rc == -EAGAIN || rc == -EBUSY) {
      if (pause_ns > last_pause_ns) break;
      pause_for(pause_ns);
      pause_ns *= 2;
    } else if (rc != -EINTR) {
      break;
    }
    rc = io_uring_submit_and_wait(&ring_, 1);
  }
  if (rc < 0) os::throw_errno(-rc, "io_uring_enter");
  io_uring_cqe* cqe = nullptr;
  if (io_uring_peek_cqe(&ring_, &cqe) != 0) os::throw_errno(EOPNOTSUPP, "io_uring_enter");
  const int result = cqe->res;
  io_uring_cqe_seen(&ring_, cqe);
  if (result < 0 && result != -ENOENT)
    os::throw_errno(ENOSYS, "io_uring of this kernel lacks cancelling everything");
}

}  // namespace pinion::loop
