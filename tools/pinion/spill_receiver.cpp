#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "spill.hpp"

namespace pinion::command {
namespace {

[[noreturn]] void fail(const char* doing) {
  throw std::system_error(errno, std::generic_category(), doing);
}

// The first byte of the name is NUL, which makes it abstract: there is no file to leave behind.
SpillAddress random_address() {
  std::array<std::uint64_t, 2> random{};
  if (::getrandom(random.data(), sizeof random, 0) != sizeof random) fail("drawing a random name");
  const std::string name = fmt::format("pinion-{:016x}{:016x}", random[0], random[1]);
  SpillAddress result;
  result.address.sun_family = AF_UNIX;
  std::memcpy(result.address.sun_path + 1, name.data(), name.size());
  result.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return result;
}

// The first descriptor in the message; others are closed.
Descriptor descriptor_of(msghdr& message) {
  Descriptor file;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      Descriptor owned(fd);
      if (!file) file = std::move(owned);
    }
  }
  return file;
}

}  // namespace

SpillReceiver::SpillReceiver()
    : address_(random_address()),
      listener_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  if (!listener_) fail("making the socket for large outputs");
  const auto* address = reinterpret_cast<const sockaddr*>(&address_.address);
  if (::bind(listener_.get(), address, address_.length) != 0) {
    fail("naming the socket for large outputs");
  }
  if (::listen(listener_.get(), SOMAXCONN) != 0) fail("listening for large outputs");
}

bool SpillReceiver::is_trusted(int connection) const {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
  return peer.uid == ::geteuid() && (!is_worker_ || is_worker_(peer.pid));
}

void SpillReceiver::accept_all() {
  while (true) {
    Descriptor connection(
        ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection) break;
    if (is_trusted(connection.get())) connections_.push_back(std::move(connection));
  }
}

void SpillReceiver::receive_all() {
  accept_all();
  std::erase_if(connections_, [&](const Descriptor& connection) {
    while (receive_from(connection.get())) {
    }
    return errno != EAGAIN;  // the worker is gone
  });
}

void SpillReceiver::watch(std::vector<pollfd>& watched) const {
  watched.push_back({listener_.get(), POLLIN, 0});
  for (const Descriptor& connection : connections_)
    watched.push_back({connection.get(), POLLIN, 0});
}

// No more than that: other files shall not take descriptors before their jobs are looked at.
void SpillReceiver::receive_until(const std::pair<std::uint64_t, Stream>& wanted) {
  accept_all();
  std::erase_if(connections_, [&](const Descriptor& connection) {
    while (files_.find(wanted) == files_.end()) {
      if (!receive_from(connection.get())) return errno != EAGAIN;  // the worker is gone
    }
    return false;
  });
}

// Whether there was a message; else errno says why not (0: the peer has closed).
bool SpillReceiver::receive_from(int connection) {
  SpillNote note;
  static std::array<char, spill_text_bytes_max> text;  // of the command's one thread
  std::array<iovec, 2> content{{{&note, sizeof note}, {text.data(), text.size()}}};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(4 * sizeof(int))> control;
  msghdr message{};
  message.msg_iov = content.data();
  message.msg_iovlen = content.size();
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  errno = 0;
  const ssize_t count = ::recvmsg(connection, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (count <= 0) return false;
  Descriptor file = descriptor_of(message);
  const auto text_bytes = count - static_cast<ssize_t>(sizeof note);
  if (note.kind == SpillKind::text) {
    if (text_bytes > 0 && take_text_) {
      take_text_(note, std::string_view(text.data(), static_cast<std::size_t>(text_bytes)));
    }
    errno = 0;
    return true;
  }
  if (text_bytes == 0 && file)
    files_.insert_or_assign({note.sequence, note.stream}, std::move(file));
  return true;
}

Descriptor SpillReceiver::take(std::uint64_t sequence, Stream stream) {
  auto found = files_.find({sequence, stream});
  if (found == files_.end()) {
    receive_until({sequence, stream});
    found = files_.find({sequence, stream});
    if (found == files_.end()) return {};
  }
  Descriptor file = std::move(found->second);
  files_.erase(found);
  return file;
}

}  // namespace pinion::command
