// Reads by the coroutines of one task, through the loop of one worker.
#include "perf/harness/contestant.hpp"
#include "perf/harness/one_worker.hpp"
#include "perf/harness/spin.hpp"
#include "perf/io/blocks.hpp"

namespace pinion::perf {
namespace {

Task<> read_some(int fd, std::span<std::byte> block, Offsets& offsets) {
  while (offsets.any()) {
    const std::size_t n = co_await io::read(fd, block, offsets.next());
    if (n != block.size()) throw std::runtime_error("a short read");
  }
}

Task<double> read_blocks(std::string path, From from, unsigned in_flight) {
  const int fd = co_await io::open(path, open_flags(from));
  const Buffers buffers(in_flight);
  Offsets offsets(from);
  const auto start = Clock::now();
  TaskGroup group;
  for (unsigned i = 0; i < in_flight; ++i)
    group.start(read_some(fd, std::span(buffers.at(i), sizes::block_bytes), offsets));
  co_await group.wait();
  const double seconds = seconds_since(start);
  co_await io::close(fd);
  co_return seconds;
}

Sample read_in_worker(From from, unsigned in_flight) {
  Pool pool(one_worker());
  return {pool.apply(read_blocks, file_of(from), from, in_flight), reads_of(from)};
}

const Contestant cached{"io/pinion_cached_32", [] { return read_in_worker(From::cache, 32); }};
const Contestant direct{"io/pinion_direct_32", [] { return read_in_worker(From::disk, 32); }};
const Contestant more{"io/pinion_direct_128", [] { return read_in_worker(From::disk, 128); }};

}  // namespace
}  // namespace pinion::perf
