// What io_uring itself can give here: liburing, and nothing else.
#include <cstring>
#include <stdexcept>

#include "perf/harness/contestant.hpp"
#include "perf/harness/cpus.hpp"
#include "perf/harness/spin.hpp"
#include "perf/io/bare_ring.hpp"
#include "perf/io/blocks.hpp"

namespace pinion::perf {
namespace {

Sample read_blocks(From from, unsigned in_flight) {
  const OpenFile file(from);
  const Pinned pinned(two_cpus().second);
  const Buffers buffers(in_flight);
  Offsets offsets(from);
  const auto start = Clock::now();
  BareRing ring(in_flight, 2 * in_flight);
  const auto read = [&](unsigned index) {
    io_uring_sqe* const entry = ring.entry();
    io_uring_prep_read(entry, file.fd, buffers.at(index), sizes::block_bytes, offsets.next());
    io_uring_sqe_set_data64(entry, index);
  };
  unsigned pending = 0;
  for (; pending < in_flight; ++pending) read(pending);
  while (pending != 0) {
    if (const int rc = io_uring_submit_and_wait(ring.get(), 1); rc < 0)
      throw std::runtime_error(std::strerror(-rc));
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(ring.get(), head, cqe) {
      ++count;
      if (cqe->res != static_cast<int>(sizes::block_bytes))
        throw std::runtime_error("a short read");
      if (offsets.any())
        read(static_cast<unsigned>(cqe->user_data));
      else
        --pending;
    }
    io_uring_cq_advance(ring.get(), count);
  }
  return {seconds_since(start), reads_of(from)};
}

const Contestant cached{"io/liburing_cached_32", [] { return read_blocks(From::cache, 32); }};
const Contestant direct{"io/liburing_direct_32", [] { return read_blocks(From::disk, 32); }};
const Contestant more{"io/liburing_direct_128", [] { return read_blocks(From::disk, 128); }};

}  // namespace
}  // namespace pinion::perf
