// Messages with descriptors over a SOCK_SEQPACKET socket.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "lib/os/fd.hpp"

namespace pinion::os {

inline constexpr std::size_t passed_fds_max = 8;

/// A connected pair, close-on-exec.
std::pair<Fd, Fd> make_socket_pair();

/// Sends one message; throws `std::system_error`.
void send_message(int socket, std::span<const std::byte> bytes, std::span<const int> fds);

struct Received {
  std::size_t bytes = 0;  // 0: the other side is gone
  std::vector<Fd> fds;
};

/// Takes one message of at most `buffer.size()` bytes; waits for it. Throws `std::system_error`,
/// also when the deadline passes (ETIMEDOUT).
Received receive_message(int socket, std::span<std::byte> buffer, std::int64_t deadline_ns);

}  // namespace pinion::os
