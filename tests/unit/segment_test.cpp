#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <pinion/errors.hpp>

#include <cerrno>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>

#include "lib/shm/segment.hpp"
#include "tests/support/skipped.hpp"
#include "tests/unit/child.hpp"

using namespace pinion;
using namespace pinion::tests;
using shm::Sealed;
using shm::Segment;
using shm::SegmentHeader;
using shm::SegmentKind;

namespace {

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;

SegmentHeader some_header() {
  SegmentHeader header{};
  header.kind = SegmentKind::worker;
  header.layout = 0x1234;
  header.pool = 0x5678'9abc'def0;
  header.worker = 3;
  header.generation = 7;
  return header;
}

Segment make(Sealed sealed, std::uint64_t committed = 64 * kib,
             int protection = PROT_READ | PROT_WRITE) {
  return Segment("pinion-test", mib, committed, sealed, some_header(), protection);
}

/// The error number of a call that must fail; 0 where it did not.
template <class Result>
int errno_of(Result result) {
  return result == Result(-1) ? errno : 0;
}

int map_error(int fd, int protection) {
  void* const p = ::mmap(nullptr, 4096, protection, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED) return errno;
  ::munmap(p, 4096);
  return 0;
}

/// Why a segment is refused; empty where it is not.
std::string refusal(int fd, const SegmentHeader& expected) {
  try {
    shm::attach_segment(fd, PROT_READ, expected);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return {};
}

long faults() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt;
}

/// What touching every page of a range costs in page faults. Not those of a sanitizer's own memory.
__attribute__((no_sanitize("address", "undefined"))) long faults_of_touching(const std::byte* begin,
                                                                             std::uint64_t bytes) {
  const long before = faults();
  for (std::uint64_t i = 0; i < bytes; i += 4096) {
    static_cast<void>(*static_cast<const volatile std::byte*>(begin + i));
  }
  return faults() - before;
}

}  // namespace

TEST_CASE("a segment says at its beginning what it is") {
  for (const int protection : {PROT_READ | PROT_WRITE, PROT_READ}) {
    const Segment segment = make(Sealed::for_all, 64 * kib, protection);
    SegmentHeader header{};
    std::memcpy(&header, segment.begin(), sizeof header);
    CHECK(std::memcmp(segment.begin(), "1.pinion", 8) == 0);
    CHECK(header.version == shm::segment_version);
    CHECK(header.kind == SegmentKind::worker);
    CHECK(header.layout == 0x1234);
    CHECK(header.pool == 0x5678'9abc'def0);
    CHECK(header.worker == 3);
    CHECK(header.generation == 7);
    CHECK(header.size == mib);
    CHECK(header.page_bytes == static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
    CHECK(segment.size() == mib);
    CHECK(segment.committed() == 64 * kib);
  }
}

TEST_CASE("nobody can change a segment's size or its seals") {
  for (const Sealed sealed : {Sealed::for_all, Sealed::future_read_only}) {
    const Segment segment = make(sealed);
    CHECK(errno_of(::ftruncate(segment.fd(), 2 * mib)) == EPERM);
    CHECK(errno_of(::ftruncate(segment.fd(), 4096)) == EPERM);
    CHECK(errno_of(::fallocate(segment.fd(), 0, mib, 4096)) == EPERM);
    CHECK(errno_of(::fcntl(segment.fd(), F_ADD_SEALS, F_SEAL_WRITE)) == EPERM);
  }
}

TEST_CASE("of a segment that is read-only from now on nobody gets a writable mapping") {
  const Segment segment = make(Sealed::future_read_only);
  CHECK(map_error(segment.fd(), PROT_READ | PROT_WRITE) == EPERM);
  CHECK(map_error(segment.fd(), PROT_READ) == 0);
  CHECK(errno_of(::pwrite(segment.fd(), "x", 1, 100)) == EPERM);
  const os::Mapping reader(segment.fd(), mib, PROT_READ);
  CHECK(errno_of(::mprotect(reader.begin(), 4096, PROT_READ | PROT_WRITE)) == EACCES);
  // Its maker goes on writing through the mapping it has, and the others see it.
  segment.begin()[5000] = std::byte{42};
  CHECK(reader.begin()[5000] == std::byte{42});
}

TEST_CASE("a segment that its maker only reads can be written by whom it is given to") {
  const Segment segment = make(Sealed::for_all, 64 * kib, PROT_READ);
  os::Mapping writer = shm::attach_segment(segment.fd(), PROT_READ | PROT_WRITE, some_header());
  writer.begin()[5000] = std::byte{42};
  CHECK(segment.begin()[5000] == std::byte{42});
}

TEST_CASE("a segment with another header is refused, and the sentence says why") {
  struct Case {
    const char* sentence;
    std::function<void(SegmentHeader&)> change;
  };
  const Case cases[] = {
      {"its magic number is wrong", [](SegmentHeader& h) { h.magic ^= 1; }},
      {"its version is another", [](SegmentHeader& h) { ++h.version; }},
      {"its layout is another", [](SegmentHeader& h) { ++h.layout; }},
      {"its size is not what it says", [](SegmentHeader& h) { h.size -= 4096; }},
      {"its size is not what it says", [](SegmentHeader& h) { h.size += 4096; }},
      {"its page size is another", [](SegmentHeader& h) { h.page_bytes *= 2; }},
      {"it belongs to another pool", [](SegmentHeader& h) { h.kind = SegmentKind::bells; }},
      {"it belongs to another pool", [](SegmentHeader& h) { ++h.pool; }},
      {"it belongs to another pool", [](SegmentHeader& h) { ++h.worker; }},
      {"it belongs to another pool", [](SegmentHeader& h) { ++h.generation; }},
  };
  const Segment segment = make(Sealed::for_all);
  CHECK(refusal(segment.fd(), some_header()).empty());
  auto& header = *reinterpret_cast<SegmentHeader*>(segment.begin());
  const SegmentHeader good = header;
  for (const Case& c : cases) {
    CAPTURE(std::string(c.sentence));
    c.change(header);
    const std::string why = refusal(segment.fd(), some_header());
    CHECK(why.find(c.sentence) != std::string::npos);
    CHECK(why.find("must use the same pinion") != std::string::npos);
    header = good;
  }
  CHECK(refusal(segment.fd(), some_header()).empty());
}

TEST_CASE("what is not sealed, or too small, is refused before it is looked at") {
  const os::Fd open_end(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(::ftruncate(open_end.get(), mib) == 0);
  CHECK(refusal(open_end.get(), some_header()).find("it is not sealed") != std::string::npos);
  REQUIRE(::fcntl(open_end.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL) == 0);
  CHECK(refusal(open_end.get(), some_header()).find("it is not sealed") != std::string::npos);
  const os::Fd small(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(::ftruncate(small.get(), 32) == 0);
  REQUIRE(::fcntl(small.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
  CHECK(refusal(small.get(), some_header()).find("it is too small") != std::string::npos);
  const os::Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  CHECK(refusal(file.get(), some_header()).find("it is not sealed") != std::string::npos);
}

TEST_CASE("memory is committed from the front, in place, and what was written stays") {
  Segment segment = make(Sealed::future_read_only);
  std::byte* const begin = segment.begin();
  begin[60'000] = std::byte{7};
  segment.commit(512 * kib);
  CHECK(segment.committed() == 512 * kib);
  CHECK(segment.begin() == begin);
  CHECK(begin[60'000] == std::byte{7});
  begin[512 * kib - 1] = std::byte{8};
  segment.commit(100 * kib);  // it is there already
  CHECK(segment.committed() == 512 * kib);
}

TEST_CASE(
    "what prepares the range sees it before there is any memory, and what it throws goes on") {
  const auto is_there = [](std::byte* page) {
    unsigned char resident = 2;
    return ::mincore(page, 4096, &resident) == 0 && (resident & 1) != 0;
  };
  bool too_early = true;
  std::uint64_t range = 0;
  const Segment segment("pinion-test", mib, 64 * kib, Sealed::for_all, some_header(), PROT_READ,
                        [&](std::byte* begin, std::uint64_t size) {
                          range = size;
                          too_early = is_there(begin);
                        });
  CHECK(range == mib);
  CHECK_FALSE(too_early);
  CHECK(is_there(segment.begin()));
  CHECK(segment.committed() == 64 * kib);
  CHECK_THROWS_AS(Segment("pinion-test", mib, 64 * kib, Sealed::for_all, some_header(), PROT_READ,
                          [](std::byte*, std::uint64_t) { throw std::logic_error("no"); }),
                  std::logic_error);
}

TEST_CASE("a segment never commits more than its size") {
  Segment segment = make(Sealed::for_all);
  CHECK_THROWS_AS(segment.commit(mib + 4096), ResourceError);
  CHECK(segment.committed() == 64 * kib);
  segment.commit(mib);
  CHECK(segment.committed() == mib);
}

TEST_CASE("committed pages are there before they are touched") {
  Segment writer = make(Sealed::future_read_only);
  CHECK(faults_of_touching(writer.begin(), 64 * kib) <= 2);
  writer.commit(mib);
  CHECK(faults_of_touching(writer.begin() + 64 * kib, mib - 64 * kib) <= 2);
  const os::Mapping reader(writer.fd(), mib, PROT_READ);
  shm::populate(reader.begin(), mib, false);
  CHECK(faults_of_touching(reader.begin(), mib) <= 2);
  const os::Mapping unprepared(writer.fd(), mib, PROT_READ);
  CHECK(faults_of_touching(unprepared.begin(), mib) > 2);  // or nothing was measured
}

TEST_CASE("the same where the kernel does not know how to populate") {
  const int status = in_child([] {
    deny(SYS_madvise, EINVAL);
    Segment writer = make(Sealed::future_read_only);
    writer.commit(mib);
    return faults_of_touching(writer.begin(), mib) <= 2 ? 0 : 1;
  });
  if (status == not_allowed)
    checks::skip("seccomp filters are not allowed here");
  else
    CHECK(status == 0);
}

TEST_CASE("a shortage is an error that names the limit") {
  const auto named = [](const auto& make_it, const char* limit) {
    try {
      make_it();
    } catch (const ResourceError& error) {
      return std::string(error.what()).find(limit) != std::string::npos ? 0 : 1;
    }
    return 2;
  };
  CHECK(in_child([&] {  // not the signal SIGXFSZ
          const rlimit limit{512 * kib, 512 * kib};
          ::setrlimit(RLIMIT_FSIZE, &limit);
          return named([] { make(Sealed::for_all); }, "RLIMIT_FSIZE");
        }) == 0);
  CHECK(in_child([&] {
          const rlimit limit{3, 3};
          ::setrlimit(RLIMIT_NOFILE, &limit);
          return named([] { make(Sealed::for_all); }, "RLIMIT_NOFILE");
        }) == 0);
  const int status = in_child([&] {
    Segment segment = make(Sealed::for_all);
    deny(SYS_fallocate, ENOSPC);
    const int found = named([&] { segment.commit(512 * kib); }, "arena_bytes");
    return segment.committed() == 64 * kib ? found : 3;
  });
  CHECK((status == 0 || status == not_allowed));
}

TEST_CASE("a forked child does not get the mapping") {
  const Segment segment = make(Sealed::for_all);
  CHECK(in_child([&] {
          unsigned char resident = 0;
          return errno_of(::mincore(segment.begin(), 4096, &resident)) == ENOMEM ? 0 : 1;
        }) == 0);
  CHECK(segment.begin()[0] == std::byte{'1'});
}
