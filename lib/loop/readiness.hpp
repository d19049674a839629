// What an operation waits for where its descriptor is not ready. Both backends ask here.
#pragma once

#include <pinion/detail/operation.hpp>

#include <cstdint>

namespace pinion::loop {

/// The events of poll(2) that let the operation go on.
short awaited_events(const detail::Operation& operation) noexcept;

/// Whether a system call's `result` says: wait for these events, then try again. Not so where the
/// caller asked for an answer at once (MSG_DONTWAIT), and for a Unix socket whose listener's queue
/// is full: no event tells when there is room.
bool must_wait(const detail::Operation& operation, std::int64_t result) noexcept;

}  // namespace pinion::loop
