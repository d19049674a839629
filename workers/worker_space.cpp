// How a worker gets memory for results.

#include <unistd.h>
#include <pinion/errors.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "lib/os/clock.hpp"
#include "workers/worker.hpp"

namespace pinion::workers {

std::uint64_t Worker::take_space(std::uint16_t flight, std::uint64_t bytes) {
  for (;;) {
    if (const auto offset = space_.take(bytes)) return *offset;
    if (abandoned()) throw ResourceError("worker", "it was abandoned", "end when asked to stop");
    ring::ResultMessage message{};
    message.flight = flight;
    message.kind = ring::ResultKind::need_space;
    message.position = channel_.results.position();
    message.payload.words[0] = shm::Space::rounded(bytes);
    granted_ = -1;
    channel_.results.push(message);
    channel_.manager_bell.ring();
    os::ring_eventfd(channel_.manager_eventfd);  // nobody may be collecting
    while (granted_ < 0) {
      if (intake()) continue;
      const std::uint32_t parked = channel_.own_bell.park(ring::Bell::on_futex);
      if (abandoned()) {
        channel_.own_bell.leave(parked);
        break;
      }
      if (!channel_.tasks.ready()) channel_.own_bell.sleep(parked, os::never_ns);
      channel_.own_bell.leave(parked);
    }
    if (granted_ <= 0) {
      throw ResourceError("PoolOptions::arena_bytes",
                          "no room for a result of " + std::to_string(bytes) + " bytes",
                          "raise the limit, return less at once, or take results sooner");
    }
  }
}

std::uint64_t Worker::take_space_or_die(std::uint64_t bytes) noexcept {
  if (const auto offset = space_.take(bytes)) return *offset;
  if (channel_.is_local() && channel_.has_thread) give_up();
  std::fputs("pinion: a worker has no memory left to say what went wrong\n", stderr);
  std::abort();
}

/// What an abort is to a process: the manager sees a worker that breaks the protocol, and leaves
/// this thread behind, which never goes on.
void Worker::give_up() noexcept {
  ring::ResultMessage message{};
  message.flight = ring::no_flight;
  message.kind = ring::ResultKind::gave_up;
  channel_.results.push(message);
  channel_.manager_bell.ring();
  os::ring_eventfd(channel_.manager_eventfd);
  for (;;) ::pause();
}

}  // namespace pinion::workers
