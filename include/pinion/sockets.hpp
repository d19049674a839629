// Sockets from a coroutine: accept, connect, recv, send.
#pragma once

#include <pinion/detail/io_awaiter.hpp>
#include <pinion/task.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

struct sockaddr;

namespace pinion {

namespace detail {

// Numbers of <sys/socket.h>, which would bring functions `accept`, `bind`, ... into every user's
// file; lib/loop/sockets.cpp compares them.
inline constexpr int close_on_exec = 02000000;  // SOCK_CLOEXEC
inline constexpr int no_signal = 0x4000;        // MSG_NOSIGNAL
inline constexpr int wait_for_all = 0x100;      // MSG_WAITALL
inline constexpr std::size_t address_bytes_max = 128;
using AddressLength = unsigned;  // socklen_t

class AcceptAwaiter final : public IoAwaiter {
 public:
  AcceptAwaiter(int listener, sockaddr* address, AddressLength* length, int flags) noexcept
      : IoAwaiter(OperationKind::accept, listener) {
    operation_.buffer = address;
    operation_.second = length;
    operation_.flags = flags;
  }
  int await_resume() { return static_cast<int>(operation_.finish("accepting from")); }
};

class MessageAwaiter final : public IoAwaiter {
 public:
  MessageAwaiter(OperationKind kind, int fd, const void* buffer, std::size_t length,
                 int flags) noexcept
      : IoAwaiter(kind, fd) {
    operation_.buffer = buffer;
    operation_.length = length;
    operation_.flags = flags;
  }
  std::size_t await_resume() {
    return static_cast<std::size_t>(operation_.finish(
        operation_.kind == OperationKind::recv ? "receiving from" : "sending to"));
  }
};

/// A socket's address of any family.
struct SocketAddress {
  alignas(8) std::array<std::byte, address_bytes_max> bytes;
  AddressLength length;
};

/// Throws `std::invalid_argument` where it is too long.
PINION_API SocketAddress copy_address(const sockaddr* address, AddressLength length);
PINION_API Task<> connect_to(int fd, SocketAddress address);

}  // namespace detail

namespace io {

// Each throws as said above `read` in io.hpp. Sockets in blocking and in non-blocking mode are
// waited for alike; but recv and send with MSG_DONTWAIT throw EAGAIN at once.

/// Accepts one connection, with the flags of accept4(2).
/// @param address  where the peer's address goes, with its room in `length`, as accept(2) has it;
///                 both live until the await ends
/// @returns the descriptor. It is closed when the coroutine is destroyed before it could take it.
/// On the poll backend a listener in blocking mode is put into non-blocking mode, for good.
[[nodiscard]] inline detail::AcceptAwaiter accept(int listener, sockaddr* address = nullptr,
                                                  unsigned* length = nullptr,
                                                  int flags = detail::close_on_exec) noexcept {
  return {listener, address, length, flags};
}

/// Connects a socket; the address is copied. Where a Unix listener's queue is full it tries again
/// after 1 ms, and then at doubling intervals up to 16 ms. After an error or a cancellation close
/// the socket: its state is undefined. On the poll backend a socket in blocking mode is in
/// non-blocking mode for a moment. Throws `std::invalid_argument` for an address of more than
/// 128 bytes.
inline Task<> connect(int fd, const sockaddr* address, unsigned length) {
  return detail::connect_to(fd, detail::copy_address(address, length));
}

/// Receives at most `buffer.size()` bytes, or one message, with the flags of recv(2).
/// @returns the number of bytes, which may be fewer; 0 at the end of a stream. MSG_WAITALL has no
/// effect: use `read_exactly`.
[[nodiscard]] inline detail::MessageAwaiter recv(int fd, std::span<std::byte> buffer,
                                                 int flags = 0) noexcept {
  return {detail::OperationKind::recv, fd, buffer.data(), buffer.size(),
          flags & ~detail::wait_for_all};
}

/// Sends at most `buffer.size()` bytes, or one message, with the flags of send(2).
/// @returns the number of bytes, which may be fewer on a stream: go on from there. Never raises
/// SIGPIPE: EPIPE is thrown.
[[nodiscard]] inline detail::MessageAwaiter send(int fd, std::span<const std::byte> buffer,
                                                 int flags = 0) noexcept {
  return {detail::OperationKind::send, fd, buffer.data(), buffer.size(),
          (flags | detail::no_signal) & ~detail::wait_for_all};
}

}  // namespace io
}  // namespace pinion
