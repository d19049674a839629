#include "perf/io/blocks.hpp"

#include <filesystem>
#include <vector>

#include "perf/harness/child.hpp"
#include "perf/harness/contestant.hpp"

namespace pinion::perf {
namespace {

class TestFile {
 public:
  TestFile(From from, const char* name, std::uint64_t bytes) : path_(beside_this(name)) {
    const int fd = ::open(path_.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) throw Skip("cannot make " + path_);
    const std::vector<char> piece(1 << 20, 'x');
    for (std::uint64_t at = 0; at < bytes; at += piece.size()) {
      if (::write(fd, piece.data(), piece.size()) != static_cast<ssize_t>(piece.size())) {
        ::close(fd);
        throw Skip("cannot write " + path_);
      }
    }
    ::fsync(fd);
    if (from == From::disk) ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
    if (from == From::disk) need_direct_reads();
  }
  ~TestFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TestFile(const TestFile&) = delete;
  TestFile& operator=(const TestFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  void need_direct_reads() const {
    const int fd = ::open(path_.c_str(), open_flags(From::disk));
    const Buffers buffer(1);
    const bool reads = fd >= 0 && ::pread(fd, buffer.at(0), sizes::block_bytes, 0) > 0;
    if (fd >= 0) ::close(fd);
    if (!reads) throw Skip("no direct I/O at " + path_);
  }

  std::string path_;
};

}  // namespace

const std::string& file_of(From from) {
  if (from == From::disk) {
    static const TestFile disk(From::disk, "disk-blocks", sizes::disk_file_bytes);
    return disk.path();
  }
  static const TestFile cache(From::cache, "cache-blocks", sizes::cache_file_bytes);
  return cache.path();
}

}  // namespace pinion::perf
