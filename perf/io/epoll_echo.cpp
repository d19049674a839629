// The reference of the echo: a process with a bare epoll loop.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "perf/harness/contestant.hpp"
#include "perf/harness/peer.hpp"
#include "perf/io/echo_client.hpp"
#include "perf/sizes.hpp"

namespace pinion::perf {
namespace {

void watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/// Until all connections have been closed.
void serve(int listener) {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  watch(epoll, listener);
  std::array<epoll_event, 256> events{};
  std::array<char, sizes::echo_buffer_bytes> buffer{};
  for (unsigned closed = 0; closed < sizes::echo_connections;) {
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == listener) {
        watch(epoll, ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        continue;
      }
      const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
      if (n > 0) {
        if (::send(fd, buffer.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL) != n) _exit(1);
      } else if (n == 0) {
        ::close(fd);
        ++closed;
      }
    }
  }
}

Sample echo() {
  const std::string name = echo_name();
  const Peer server([&] { serve(listen_at(name)); });
  const Pinned pinned(two_cpus().first);
  return {run_client(name), std::uint64_t{sizes::echo_rounds} * sizes::echo_connections};
}

const Contestant registered{"io/epoll_echo", echo};

}  // namespace
}  // namespace pinion::perf
