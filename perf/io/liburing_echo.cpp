// The echo as io_uring itself can do it, with one receive and one send a message.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "perf/harness/contestant.hpp"
#include "perf/harness/peer.hpp"
#include "perf/io/bare_ring.hpp"
#include "perf/io/echo_client.hpp"
#include "perf/sizes.hpp"

namespace pinion::perf {
namespace {

struct Connection {
  int fd = -1;
  bool sends = false;
  std::array<char, sizes::echo_buffer_bytes> buffer;
};

class Server {
 public:
  explicit Server(int listener) : listener_(listener), ring_(128, 512) {
    connections_.resize(sizes::echo_connections + 1);  // 0: the listener
    accept();
  }

  /// Until all connections have been closed.
  void serve() {
    while (closed_ < sizes::echo_connections) {
      io_uring_submit_and_wait(ring_.get(), 1);
      unsigned head = 0;
      unsigned count = 0;
      io_uring_cqe* cqe = nullptr;
      io_uring_for_each_cqe(ring_.get(), head, cqe) {
        ++count;
        ended(cqe->user_data, cqe->res);
      }
      io_uring_cq_advance(ring_.get(), count);
    }
  }

 private:
  void accept() {
    io_uring_sqe* const entry = ring_.entry();
    io_uring_prep_accept(entry, listener_, nullptr, nullptr, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(entry, 0);
  }

  void receive(std::uint64_t index, bool waits) {
    Connection& one = connections_[index];
    one.sends = false;
    io_uring_sqe* const entry = ring_.entry();
    io_uring_prep_recv(entry, one.fd, one.buffer.data(), one.buffer.size(), 0);
    if (waits) entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
    io_uring_sqe_set_data64(entry, index);
  }

  void ended(std::uint64_t index, int result) {
    if (result < 0) _exit(1);
    if (index == 0) {
      connections_[++accepted_].fd = result;
      receive(accepted_, false);
      if (accepted_ < sizes::echo_connections) accept();
      return;
    }
    Connection& one = connections_[index];
    if (one.sends) {
      receive(index, true);
    } else if (result == 0) {
      ::close(one.fd);
      ++closed_;
    } else {
      one.sends = true;
      io_uring_sqe* const entry = ring_.entry();
      io_uring_prep_send(entry, one.fd, one.buffer.data(), static_cast<unsigned>(result),
                         MSG_NOSIGNAL);
      io_uring_sqe_set_data64(entry, index);
    }
  }

  int listener_;
  BareRing ring_;
  std::vector<Connection> connections_;
  unsigned accepted_ = 0;
  unsigned closed_ = 0;
};

Sample echo() {
  const std::string name = echo_name();
  const Peer peer([&] { Server(listen_at(name)).serve(); });
  const Pinned pinned(two_cpus().first);
  return {run_client(name), std::uint64_t{sizes::echo_rounds} * sizes::echo_connections};
}

const Contestant registered{"io/liburing_echo", echo};

}  // namespace
}  // namespace pinion::perf
