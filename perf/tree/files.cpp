#include "perf/tree/files.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <stdexcept>

#include "perf/harness/child.hpp"
#include "perf/harness/contestant.hpp"
#include "perf/sizes.hpp"

namespace pinion::perf {
namespace {

namespace fs = std::filesystem;

/// A folder beside the program, so that there is as much room as for the build.
class Tree {
 public:
  Tree() : folder_(beside_this("tree-files")) {
    const bool quick = std::getenv("PINION_PERF_QUICK") != nullptr;
    const sizes::Tree& size = quick ? sizes::tree_quick : sizes::tree;
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    need_room(size);
    for (unsigned i = 0; i < size.large_files; ++i) add("large", i, size.large_bytes);
    for (unsigned i = 0; i < size.small_files; ++i) add("small", i, size.small_bytes);
    ::sync();  // nothing is written back while a rival is measured
  }
  ~Tree() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  [[nodiscard]] const std::vector<std::string>& paths() const { return paths_; }

 private:
  /// Twice as much memory, too: what is hashed must not come from a disk.
  void need_room(const sizes::Tree& size) const {
    const std::uint64_t bytes =
        size.large_files * size.large_bytes + std::uint64_t{size.small_files} * size.small_bytes;
    const auto memory = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                        static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    if (fs::space(folder_).available < 2 * bytes || memory < 2 * bytes)
      throw Skip("twice " + std::to_string(bytes >> 20) + " MiB of disk and of memory are needed");
  }

  void add(const char* kind, unsigned number, std::uint64_t bytes) {
    const fs::path folder = folder_ / (std::string(kind) + std::to_string(number / 1000));
    fs::create_directories(folder);
    const fs::path path = folder / std::to_string(number);
    const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) throw Skip("cannot make " + path.string());
    for (std::uint64_t at = 0; at < bytes;) {
      buffer_.front() = random_();  // no two pieces alike
      const std::uint64_t wanted = std::min<std::uint64_t>(bytes - at, sizeof buffer_);
      const ssize_t done = ::write(fd, buffer_.data(), wanted);
      if (done <= 0) {
        ::close(fd);
        throw Skip("cannot write " + path.string());
      }
      at += static_cast<std::uint64_t>(done);
    }
    ::close(fd);
    paths_.push_back(path);
  }

  fs::path folder_;
  std::vector<std::string> paths_;
  std::mt19937_64 random_;
  std::array<std::uint64_t, 8192> buffer_{};
};

}  // namespace

const std::vector<std::string>& tree_files() {
  static const Tree tree;
  return tree.paths();
}

void compare_digests(const std::vector<Digest>& digests) {
  static const std::vector<Digest> first = digests;
  if (digests != first) throw std::runtime_error("digests differ");
}

}  // namespace pinion::perf
