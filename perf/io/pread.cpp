// The reference of reads: `pread`, one after the other.
#include <stdexcept>

#include "perf/harness/contestant.hpp"
#include "perf/harness/cpus.hpp"
#include "perf/harness/spin.hpp"
#include "perf/io/blocks.hpp"

namespace pinion::perf {
namespace {

Sample read_blocks(From from) {
  const OpenFile file(from);
  const Pinned pinned(two_cpus().second);
  const Buffers buffers(1);
  const auto start = Clock::now();
  for (Offsets offsets(from); offsets.any();) {
    const auto offset = static_cast<off_t>(offsets.next());
    if (::pread(file.fd, buffers.at(0), sizes::block_bytes, offset) != sizes::block_bytes)
      throw std::runtime_error("a short read");
  }
  return {seconds_since(start), reads_of(from)};
}

const Contestant cached{"io/pread_cached", [] { return read_blocks(From::cache); }};
const Contestant direct{"io/pread_direct", [] { return read_blocks(From::disk); }};

}  // namespace
}  // namespace pinion::perf
