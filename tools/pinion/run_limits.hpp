// The limits of a run.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace pinion::command {

// What may be held with -k while a slow job keeps the others from being printed. Beyond it no
// further job is started until it has ended.
constexpr std::size_t held_jobs_max = 65'536;
constexpr std::size_t held_bytes_max = std::size_t{64} << 20;
inline std::size_t held_files_max() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
  return std::clamp<std::size_t>(limit.rlim_cur / 4, 1, 256);  // that of the usual limit
}

// What a sentence shows of a command, and of an error that may hold the whole of it.
constexpr std::size_t shown_line_bytes_max = 200;
constexpr std::size_t shown_error_bytes_max = 1000;

// How long a submitted job may wait in its worker while fewer jobs run than may. Longer each time,
// so that a slow machine is not kept busy with moves.
inline std::chrono::milliseconds wait_max(unsigned moves) {
  return std::chrono::milliseconds(2 << std::min(moves, 8u));
}

}  // namespace pinion::command
