// Reading, writing and polling descriptors from a coroutine; and everything else in `pinion::io`.
#pragma once

#include <pinion/detail/io_awaiter.hpp>
#include <pinion/files.hpp>
#include <pinion/process.hpp>
#include <pinion/sockets.hpp>
#include <pinion/task.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace pinion {

namespace detail {

class TransferAwaiter final : public IoAwaiter {
 public:
  TransferAwaiter(OperationKind kind, int fd, const void* buffer, std::size_t length,
                  std::optional<std::uint64_t> offset) noexcept
      : IoAwaiter(kind, fd) {
    operation_.buffer = buffer;
    operation_.length = length;
    operation_.offset = offset.value_or(Operation::no_offset);
  }
  std::size_t await_resume() {
    return static_cast<std::size_t>(
        operation_.finish(operation_.kind == OperationKind::read ? "reading" : "writing"));
  }
};

class PollAwaiter final : public IoAwaiter {
 public:
  PollAwaiter(int fd, short events) noexcept : IoAwaiter(OperationKind::poll, fd) {
    operation_.events = events;
  }
  short await_resume() { return static_cast<short>(operation_.finish("polling")); }
};

}  // namespace detail

/// Operations on descriptors that suspend the coroutine instead of blocking the worker.
///
/// All throw `std::system_error` with the kernel's error, `Cancelled` when the task is cancelled
/// meanwhile (what had ended before that keeps its result), and `std::logic_error` outside an
/// event loop. They return what the system call returns; those that give 0 return nothing. O(1),
/// besides the kernel's work. A buffer must live until the await ends; when the coroutine is
/// destroyed in the middle of an operation, the destructor waits until the kernel has let go of the
/// buffer. Do not close a descriptor while an operation on it is pending. Descriptors in
/// non-blocking mode are waited for as any other. Await each result once.
namespace io {

/// Reads at most `buffer.size()` bytes: at `offset`, or at the file's position and on from there.
/// @returns the number of bytes, which may be fewer; 0 at the end of the file.
/// The offset is ignored where there is no position: pipes, sockets, terminals.
[[nodiscard]] inline detail::TransferAwaiter read(
    int fd, std::span<std::byte> buffer,
    std::optional<std::uint64_t> offset = std::nullopt) noexcept {
  return {detail::OperationKind::read, fd, buffer.data(), buffer.size(), offset};
}

/// Writes at most `buffer.size()` bytes, as `read` reads them.
/// @returns the number of bytes, which may be fewer: go on from there.
/// A pipe without readers raises SIGPIPE, as write(2) does; workers ignore it and get EPIPE.
[[nodiscard]] inline detail::TransferAwaiter write(
    int fd, std::span<const std::byte> buffer,
    std::optional<std::uint64_t> offset = std::nullopt) noexcept {
  return {detail::OperationKind::write, fd, buffer.data(), buffer.size(), offset};
}

/// Waits until one of `events` (POLLIN, POLLOUT, ... of poll(2)), POLLERR or POLLHUP holds.
/// @returns those that hold. Files that cannot be waited for are always ready.
[[nodiscard]] inline detail::PollAwaiter poll(int fd, short events) noexcept {
  return {fd, events};
}

/// Reads until `buffer` is full: at `offset`, or at the file's position and on from there.
/// Where the input ends before, it throws `std::system_error` with ENODATA. After any error, and
/// after `Cancelled`, some bytes may have been taken. One `read` for each piece that comes.
inline Task<> read_exactly(int fd, std::span<std::byte> buffer,
                           std::optional<std::uint64_t> offset = std::nullopt) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const std::size_t n = co_await read(fd, buffer.subspan(done), offset);
    if (n == 0) detail::fail_early_end(fd, done, buffer.size());
    done += n;
    if (offset) *offset += n;
  }
}

/// Writes all of `buffer`, as `read_exactly` reads. After any error, and after `Cancelled`, some
/// bytes may have been written. One `write` for each piece that fits; where one takes nothing, EIO
/// is thrown.
inline Task<> write_all(int fd, std::span<const std::byte> buffer,
                        std::optional<std::uint64_t> offset = std::nullopt) {
  while (!buffer.empty()) {
    const std::size_t n = co_await write(fd, buffer, offset);
    if (n == 0) detail::fail_refused_bytes(fd, buffer.size());
    buffer = buffer.subspan(n);
    if (offset) *offset += n;
  }
}

}  // namespace io
}  // namespace pinion
