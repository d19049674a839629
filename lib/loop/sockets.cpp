#include <pinion/sockets.hpp>

#include <sys/socket.h>

#include <pinion/sleep.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <type_traits>

namespace pinion::detail {

static_assert(close_on_exec == SOCK_CLOEXEC && no_signal == MSG_NOSIGNAL &&
              wait_for_all == MSG_WAITALL && address_bytes_max == sizeof(sockaddr_storage) &&
              std::is_same_v<AddressLength, socklen_t>);

namespace {

class ConnectAwaiter final : public IoAwaiter {
 public:
  ConnectAwaiter(int fd, const SocketAddress& address) noexcept
      : IoAwaiter(OperationKind::connect, fd) {
    operation_.buffer = address.bytes.data();
    operation_.length = address.length;
  }
  /// False where the listener's queue is full.
  bool await_resume() {
    if (operation_.result == -EAGAIN) return false;
    operation_.finish("connecting");
    return true;
  }
};

}  // namespace

SocketAddress copy_address(const sockaddr* address, AddressLength length) {
  SocketAddress copy{};
  if (length > copy.bytes.size())
    throw std::invalid_argument("pinion::io::connect: the address has more than 128 bytes");
  std::memcpy(copy.bytes.data(), address, length);
  copy.length = length;
  return copy;
}

Task<> connect_to(int fd, SocketAddress address) {
  using std::chrono::milliseconds;
  for (milliseconds pause(1); !co_await ConnectAwaiter(fd, address);
       pause = std::min(2 * pause, milliseconds(16)))
    co_await sleep_for(pause);
}

}  // namespace pinion::detail
