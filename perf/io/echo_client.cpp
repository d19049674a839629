#include "perf/io/echo_client.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>
#include <vector>

#include "perf/harness/spin.hpp"
#include "perf/sizes.hpp"

namespace pinion::perf {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

struct Address {
  explicit Address(const std::string& name)
      : length(static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())) {
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
  }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
  sockaddr_un address{};
  socklen_t length;
};

int connect_to(const Address& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  for (const auto start = Clock::now(); ::connect(fd, address.get(), address.length) != 0;) {
    if (errno != ECONNREFUSED || seconds_since(start) > 10) fail("connect");
    ::usleep(1000);  // nobody listens yet
  }
  return fd;
}

class Connections {
 public:
  explicit Connections(const std::string& name) {
    const Address address(name);
    while (fds_.size() < sizes::echo_connections) fds_.push_back(connect_to(address));
  }
  ~Connections() {
    for (const int fd : fds_) ::close(fd);
  }
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  void round() {
    for (const int fd : fds_) {
      if (::send(fd, out_.data(), out_.size(), 0) != static_cast<ssize_t>(out_.size()))
        fail("send");
    }
    for (const int fd : fds_) {
      if (::recv(fd, in_.data(), in_.size(), MSG_WAITALL) != static_cast<ssize_t>(in_.size()))
        fail("recv");
    }
  }

 private:
  std::vector<int> fds_;
  std::array<char, sizes::echo_bytes> out_{};
  std::array<char, sizes::echo_bytes> in_{};
};

}  // namespace

std::string echo_name() { return "pinion-perf-" + std::to_string(::getpid()); }

int listen_at(const std::string& name) {
  const Address address(name);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::bind(fd, address.get(), address.length) != 0 ||
      ::listen(fd, static_cast<int>(sizes::echo_connections)) != 0)
    fail("listen");
  return fd;
}

double run_client(const std::string& name) {
  Connections connections(name);
  connections.round();
  const auto start = Clock::now();
  for (unsigned i = 0; i < sizes::echo_rounds; ++i) connections.round();
  return seconds_since(start);
}

}  // namespace pinion::perf
