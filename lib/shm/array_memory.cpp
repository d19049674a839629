#include "lib/shm/array_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <pinion/errors.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#include "lib/shm/segment.hpp"

namespace pinion::shm {

namespace {

constexpr int size_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

/// Address ranges in which neither kernel nor loader nor a sanitizer's shadow puts anything by
/// itself: between the heap of programs at fixed addresses and the lowest that mmap begins at, in
/// 47 and 48 bits of addresses, and in 39.
struct Window {
  std::uint64_t begin, end;
};
constexpr std::uint64_t gib = std::uint64_t{1} << 30;
constexpr Window windows[] = {{18'432 * gib, 43'008 * gib}, {72 * gib, 120 * gib}};

/// A place that is free here and is likely to be in programs that are started anew. Drawn at
/// random, so that pools do not meet. Where all tries fail (valgrind and some sanitizers allow no
/// such addresses) the kernel chooses.
os::Mapping map_at_common_address(int fd, std::uint64_t bytes) {
  constexpr int protection = PROT_READ | PROT_WRITE;
  for (const auto& [begin, end] : windows) {
    if (end - begin < bytes + gib) continue;
    for (int attempt = 0; attempt < 4; ++attempt) {
      std::uint64_t draw = 0;
      if (::getrandom(&draw, sizeof draw, 0) != sizeof draw) os::throw_errno("getrandom");
      const std::uint64_t at = begin + draw % ((end - begin - bytes) / gib) * gib;
      auto mapping = os::Mapping::at(reinterpret_cast<std::byte*>(at), fd, bytes, protection);
      if (mapping) return mapping;
    }
  }
  return {fd, bytes, protection};
}

}  // namespace

ArrayMemory::ArrayMemory(std::uint64_t range)
    : fd_(make_memfd("pinion-arrays")), mapping_([&] {
        set_size(fd_.get(), range);
        return map_at_common_address(fd_.get(), range);
      }()) {
  // Forked workers inherit the mapping; a core dump of the program does not hold it.
  static_cast<void>(::madvise(mapping_.begin(), mapping_.size(), MADV_DONTDUMP));
  os::check(::fcntl(fd_.get(), F_ADD_SEALS, size_seals), "sealing the memory of shared arrays");
}

void ArrayMemory::commit(std::uint64_t offset, std::uint64_t bytes) {
  // A signal undoes what one call has done so far: pieces, so that each gets done.
  constexpr std::uint64_t piece = std::uint64_t{4} << 20;
  for (std::uint64_t done = 0; done < bytes; done += piece) {
    const auto at = static_cast<off_t>(offset + done);
    const auto size = static_cast<off_t>(std::min(piece, bytes - done));
    int rc = 0;
    do {
      rc = ::fallocate(fd_.get(), 0, at, size);
    } while (rc != 0 && errno == EINTR);
    if (rc == 0) continue;
    const int error = errno;
    release(offset, done);
    throw ResourceError(
        "shared memory",
        std::string(std::strerror(error)) + " for an array of " + std::to_string(bytes) + " bytes",
        "free memory, raise the cgroup's limit or use smaller arrays");
  }
  if (bytes != 0) populate(mapping_.begin() + offset, bytes, true);
}

void ArrayMemory::release(std::uint64_t offset, std::uint64_t bytes) noexcept {
  if (bytes == 0) return;
  while (::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     static_cast<off_t>(offset), static_cast<off_t>(bytes)) != 0 &&
         errno == EINTR) {
  }
}

os::Mapping attach_array_memory(int fd, const ArrayMemoryPlace& place) {
  struct stat info {};
  os::check(::fstat(fd, &info), "looking at the memory of shared arrays");
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & size_seals) != size_seals ||
      static_cast<std::uint64_t>(info.st_size) != place.bytes) {
    throw std::runtime_error("the memory of shared arrays is refused: seals or size are wrong");
  }
  if (place.inherited) ::munmap(place.begin, place.bytes);
  auto mapping = os::Mapping::at(place.begin, fd, place.bytes, PROT_READ | PROT_WRITE);
  if (!mapping) {
    throw std::runtime_error(
        "the memory of shared arrays cannot be mapped where the program has it: the address is "
        "taken in this worker");
  }
  mapping.keep_private();
  return mapping;
}

}  // namespace pinion::shm
