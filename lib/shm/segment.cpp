#include "lib/shm/segment.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <pinion/errors.hpp>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "lib/ring/mutant.hpp"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace pinion::shm {

namespace {

std::string mib(std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

os::Fd make_memfd(const char* name) {
  int fd = ::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  if (fd < 0 && errno == EINVAL) fd = ::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
    throw ResourceError("file descriptors (RLIMIT_NOFILE)", std::strerror(errno),
                        "raise the limit (ulimit -n) or use fewer workers");
  }
  return os::move_high(os::Fd(os::check(fd, "memfd_create")));
}

void set_size(int fd, std::uint64_t size) {
  // Beyond RLIMIT_FSIZE ftruncate does not fail, it kills with SIGXFSZ.
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      size > limit.rlim_cur) {
    throw ResourceError("file size (RLIMIT_FSIZE)",
                        mib(limit.rlim_cur) + " where " + mib(size) + " are needed",
                        "raise the limit (ulimit -f) or lower PoolOptions::arena_bytes");
  }
  os::check(::ftruncate(fd, static_cast<off_t>(size)), "sizing a shared segment");
}

void populate(std::byte* begin, std::uint64_t bytes, bool writable) noexcept {
  if (::madvise(begin, bytes, writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == 0) return;
  if (errno != EINVAL) return;  // the range is committed: pages come when they are touched
  volatile const std::byte* p = begin;
  for (std::uint64_t i = 0; i < bytes; i += 4096) static_cast<void>(p[i]);
}

Segment::Segment(const char* name, std::uint64_t size, std::uint64_t committed, Sealed sealed,
                 SegmentHeader header, int protection, const Prepare& prepare)
    : fd_(make_memfd(name)) {
  set_size(fd_.get(), size);
  // The header is written through a mapping of its own, so that `protection` can be read-only.
  header.magic = segment_magic;
  header.version = segment_version;
  header.size = size;
  header.page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  writable_ = (protection & PROT_WRITE) != 0;
  mapping_ = os::Mapping(fd_.get(), size, protection);
  mapping_.keep_private();
  if (prepare) prepare(mapping_.begin(), size);
  commit(committed);
  if (writable_) {
    std::memcpy(mapping_.begin(), &header, sizeof header);
  } else {
    const os::Mapping first(fd_.get(), header.page_bytes, PROT_READ | PROT_WRITE);
    std::memcpy(first.begin(), &header, sizeof header);
  }
  int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (sealed == Sealed::future_read_only) seals |= F_SEAL_FUTURE_WRITE;
  os::check(::fcntl(fd_.get(), F_ADD_SEALS, seals), "sealing a shared segment");
}

void Segment::commit(std::uint64_t committed) {
  if (committed <= committed_) return;
  const auto grow = committed - committed_;
  int rc = 0;
  do {
    rc = ::fallocate(fd_.get(), 0, static_cast<off_t>(committed_), static_cast<off_t>(grow));
  } while (rc != 0 && errno == EINTR);
  if (rc != 0) {
    throw ResourceError("shared memory",
                        std::string(std::strerror(errno)) + " for " + mib(grow) + " more",
                        "free memory, raise the cgroup's limit or lower PoolOptions::arena_bytes");
  }
  populate(mapping_.begin() + committed_, grow, writable_);
  committed_ = committed;
}

os::Mapping attach_segment(int fd, int protection, const SegmentHeader& expected) {
  const auto refuse = [](const std::string& what) {
    throw std::runtime_error("shared segment refused: " + what +
                             "; the worker and the program must use the same pinion");
  };
  struct stat info {};
  os::check(::fstat(fd, &info), "looking at a shared segment");
  const int seals = ::fcntl(fd, F_GET_SEALS);
  const int needed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (seals < 0 || (seals & needed) != needed) refuse("it is not sealed");
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size < sizeof(SegmentHeader)) refuse("it is too small");
  os::Mapping mapping(fd, size, protection);
  SegmentHeader found{};
  std::memcpy(&found, mapping.begin(), sizeof found);
  if (found.magic != segment_magic) refuse("its magic number is wrong");
  if (found.version != segment_version) refuse("its version is another");
  if (found.layout != expected.layout) refuse("its layout is another");
  if (found.size != size) refuse("its size is not what it says");
  if (found.page_bytes != static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))) {
    refuse("its page size is another");
  }
  using ring::Mutant;
  const bool generation = found.generation == expected.generation ||
                          ring::built_mutant == Mutant::no_generation ||
                          ring::built_mutant == Mutant::segment_reused;
  if (found.kind != expected.kind || found.pool != expected.pool ||
      found.worker != expected.worker || !generation) {
    refuse("it belongs to another pool, worker or generation");
  }
  return mapping;
}

}  // namespace pinion::shm
