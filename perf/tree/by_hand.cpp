// The same by hand: two processes, each of which takes the next file that nobody has taken and
// reads it with `pread`.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>

#include "perf/harness/contestant.hpp"
#include "perf/harness/peer.hpp"
#include "perf/harness/spin.hpp"
#include "perf/sizes.hpp"
#include "perf/tree/sha256.hpp"

namespace pinion::perf {
namespace {

struct Shares {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  Digest digests[sizes::tree.large_files + sizes::tree.small_files];
};

Digest sha256_of(const std::string& path, std::span<std::byte> buffer) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error("cannot open " + path);
  Sha256 hash;
  for (off_t offset = 0;;) {
    const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), offset);
    if (n < 0) throw std::runtime_error("cannot read " + path);
    if (n == 0) break;
    hash.add(buffer.first(static_cast<std::size_t>(n)));
    offset += n;
  }
  ::close(fd);
  return hash.end();
}

void work(Shares& shares, const std::vector<std::string>& files) noexcept {
  try {
    const auto memory = std::make_unique_for_overwrite<std::byte[]>(sizes::tree_piece_bytes);
    const std::span buffer(memory.get(), sizes::tree_piece_bytes);
    for (std::size_t i = 0; (i = shares.next++) < files.size();)
      shares.digests[i] = sha256_of(files[i], buffer);
  } catch (const std::exception&) {
    shares.failed = true;
  }
}

Sample by_hand() {
  const auto& files = tree_files();
  const auto start = Clock::now();
  Shared<Shares> shares;
  {
    const Peer other([&] { work(*shares, files); });
    const Pinned pinned(two_cpus().first);
    work(*shares, files);
  }
  const std::vector<Digest> digests(shares->digests, shares->digests + files.size());
  const double seconds = seconds_since(start);
  if (shares->failed) throw std::runtime_error("a file could not be read");
  compare_digests(digests);
  return {seconds, files.size()};
}

const Contestant registered{"tree/by_hand", by_hand};

}  // namespace
}  // namespace pinion::perf
