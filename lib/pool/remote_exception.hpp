// An exception on its way from a worker to the caller.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string_view>
#include <vector>

namespace pinion::pool {

/// Where an exception was thrown.
struct RemoteOrigin {
  unsigned worker = 0;
  pid_t pid = 0;
  std::uint64_t item = 0;
  std::string_view backtrace{};  ///< where the platform has one
};

/// `encode_exception` never gives more bytes than this, and `decode_exception` takes no more.
inline constexpr std::size_t exception_bytes_max = 512 * 1024;

/// Called by: the worker, for what a task threw (null stands for an exception of another language).
/// Texts are cut to their limits. Where there is no memory left to describe the error the bytes are
/// empty, which decodes as a `std::bad_alloc` that says so.
[[nodiscard]] std::vector<std::byte> encode_exception(const std::exception_ptr& error,
                                                      const RemoteOrigin& origin) noexcept;

/// Called by: the thread that asks for a result. A new object at each call. Nothing in the bytes is
/// trusted; those that make no sense give an `EncodingError`. Throws `std::bad_alloc` only.
[[nodiscard]] std::exception_ptr decode_exception(std::span<const std::byte> bytes);

/// Throws what `decode_exception` gives.
[[noreturn]] void throw_remote(std::span<const std::byte> bytes);

}  // namespace pinion::pool
