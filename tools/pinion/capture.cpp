#include "capture.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "spill.hpp"

namespace pinion::command {

void Capture::open_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot make a pipe for its output");
  }
  read_end_.reset(ends[0]);
  write_end_.reset(ends[1]);
}

void Capture::close_pipe() noexcept {
  read_end_.reset();
  write_end_.reset();
}

std::uint32_t Capture::pipe_inode() const noexcept {
  struct stat status {};
  if (::fstat(read_end_.get(), &status) != 0) return 0;
  return static_cast<std::uint32_t>(status.st_ino);  // the kernel numbers pipes in 32 bits
}

bool Capture::read() {
  // Shared by all jobs of this worker: nothing stays in it over an await.
  static thread_local std::array<char, 65536> block;
  const ssize_t count = ::read(read_end_.get(), block.data(), block.size());
  if (count <= 0) return false;
  text_.append(block.data(), static_cast<std::size_t>(count));
  return true;
}

std::string Capture::take_text() noexcept { return std::exchange(text_, {}); }

void Capture::open_file() {
  if (file_) return;
  write_end_.reset();
  file_ = make_spill_file();
}

}  // namespace pinion::command
