// Operations on sockets that never block: the poll backend's.
#pragma once

#include <pinion/detail/operation.hpp>

#include <cstdint>

namespace pinion::loop {

/// What the system call returns, or minus an errno; `must_wait` says whether to try again. Kinds
/// recv, send, accept and connect.
///
/// A listener in blocking mode is put into non-blocking mode: another process that takes the
/// connection first must not block this one. The mode of a socket that connects is put back.
std::int64_t call_socket(const detail::Operation& operation) noexcept;

}  // namespace pinion::loop
