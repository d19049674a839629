#include "workers/resident_set.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "lib/os/clock.hpp"

namespace pinion::workers {

namespace {

constexpr std::int64_t pause_ns = 1'000'000;  // a look costs about 2 us

}  // namespace

ResidentSet::ResidentSet(std::uint64_t limit) : limit_(limit) {
  if (limit != 0) {
    statm_ = os::move_high(
        os::Fd(os::check(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC), "/proc/self/statm")));
  }
}

bool ResidentSet::has_outgrown() noexcept {
  const std::int64_t now = os::now_ns();
  if (now < next_look_ns_) return false;
  next_look_ns_ = now + pause_ns;
  if (bytes() <= limit_) return false;
  limit_ = 0;
  return true;
}

/// The second number of /proc/self/statm, in bytes (proc(5)); 0 where it cannot be read.
std::uint64_t ResidentSet::bytes() const noexcept {
  char text[128];
  const ssize_t count = ::pread(statm_.get(), text, sizeof text - 1, 0);
  if (count <= 0) return 0;
  text[count] = '\0';
  char* end = nullptr;
  (void)std::strtoull(text, &end, 10);
  return std::strtoull(end, nullptr, 10) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace pinion::workers
