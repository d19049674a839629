// A ring as pinion makes it, for what shows the limits of io_uring itself.
#pragma once

#include <liburing.h>

#include <cstring>
#include <string>

#include "perf/harness/contestant.hpp"

namespace pinion::perf {

class BareRing {
 public:
  explicit BareRing(unsigned entries, unsigned completions) {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                       IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
    parameters.cq_entries = completions;
    const int rc = io_uring_queue_init_params(entries, &ring_, &parameters);
    if (rc < 0) throw Skip(std::string("io_uring: ") + std::strerror(-rc));
  }
  ~BareRing() { io_uring_queue_exit(&ring_); }
  BareRing(const BareRing&) = delete;
  BareRing& operator=(const BareRing&) = delete;

  io_uring* get() { return &ring_; }
  /// Room for one entry; a full queue is submitted.
  io_uring_sqe* entry() {
    io_uring_sqe* found = io_uring_get_sqe(&ring_);
    if (found == nullptr) {
      io_uring_submit(&ring_);
      found = io_uring_get_sqe(&ring_);
    }
    return found;
  }

 private:
  io_uring ring_{};
};

}  // namespace pinion::perf
