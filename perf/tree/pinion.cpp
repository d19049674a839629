// `map` of a coroutine task over the tree: the program of docs/hash_tree.md.
#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <string>

#include <pinion/pinion.hpp>

#include "perf/harness/contestant.hpp"
#include "perf/harness/cpus.hpp"
#include "perf/harness/spin.hpp"
#include "perf/sizes.hpp"
#include "perf/tree/sha256.hpp"

namespace pinion::perf {
namespace {

struct File {
  int fd;
  ~File() { ::close(fd); }
};

Task<Digest> sha256_of(std::string path) {
  const File file{co_await io::open(path, O_RDONLY | O_CLOEXEC)};
  const auto memory = std::make_unique_for_overwrite<std::byte[]>(sizes::tree_piece_bytes);
  const std::span buffer(memory.get(), sizes::tree_piece_bytes);
  Sha256 hash;
  for (std::uint64_t offset = 0;;) {
    const std::size_t n = co_await io::read(file.fd, buffer, offset);
    if (n == 0) break;
    hash.add(buffer.first(n));
    offset += n;
  }
  co_return hash.end();
}

Sample tree() {
  const auto& files = tree_files();
  const auto start = Clock::now();
  PoolOptions options;
  options.processes = 2;
  options.placement = Placement(place_of(two_cpus().first) + "," + place_of(two_cpus().second));
  Pool pool(options);
  const std::vector<Digest> digests = pool.map(sha256_of, files);
  const double seconds = seconds_since(start);
  compare_digests(digests);
  return {seconds, files.size()};
}

const Contestant registered{"tree/pinion", tree};

}  // namespace
}  // namespace pinion::perf
