// Writes whole texts, whatever the descriptor's mood.
#pragma once

#include <string_view>

namespace pinion::command {

/// Writes all of `text`; returns 0 or the errno that stopped it. Waits where the descriptor is
/// full and non-blocking. `EINTR` ends it only once `give_up_writing` was called.
[[nodiscard]] int write_all(int fd, std::string_view text) noexcept;

/// From now on an interrupted write is not resumed: the user wants the run to end, and the reader
/// may have stopped reading. Safe in a signal handler.
void give_up_writing() noexcept;

/// Whether `give_up_writing` was called.
[[nodiscard]] bool gave_up_writing() noexcept;

}  // namespace pinion::command
