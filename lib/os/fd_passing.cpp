#include "lib/os/fd_passing.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "lib/os/clock.hpp"

namespace pinion::os {

namespace {

void wait_readable(int socket, std::int64_t deadline_ns) {
  while (deadline_ns != never_ns) {
    const std::int64_t left = std::max<std::int64_t>(0, deadline_ns - now_ns());
    pollfd p{socket, POLLIN, 0};
    const timespec timeout = to_timespec(left);
    const int rc = ::ppoll(&p, 1, &timeout, nullptr);
    if (rc > 0) return;
    if (rc == 0) throw_errno(ETIMEDOUT, "waiting for a message");
    if (errno != EINTR) throw_errno("waiting for a message");
  }
}

}  // namespace

std::pair<Fd, Fd> make_socket_pair() {
  int fds[2];
  check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), "making a socket pair");
  return {move_high(Fd(fds[0])), move_high(Fd(fds[1]))};
}

void send_message(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(passed_fds_max * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    const std::size_t size = fds.size() * sizeof(int);
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(header), fds.data(), size);
  }
  ssize_t rc = 0;
  do {
    rc = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (rc < 0 && errno == EINTR);
  check(rc, "sending a message");
}

Received receive_message(int socket, std::span<std::byte> buffer, std::int64_t deadline_ns) {
  wait_readable(socket, deadline_ns);
  iovec part{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(passed_fds_max * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t rc = 0;
  do {
    rc = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (rc < 0 && errno == EINTR);
  Received received;
  received.bytes = static_cast<std::size_t>(check(rc, "receiving a message"));
  for (cmsghdr* h = CMSG_FIRSTHDR(&message); h != nullptr; h = CMSG_NXTHDR(&message, h)) {
    if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof fd);
      received.fds.emplace_back(fd);
    }
  }
  return received;
}

}  // namespace pinion::os
