#include "input_source.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "errors.hpp"

namespace pinion::command {

ArgumentLists::ArgumentLists(std::vector<std::vector<std::string>> lists)
    : lists_(std::move(lists)) {
  if (lists_.empty()) return;
  total_ = 1;
  for (const auto& list : lists_) {
    if (__builtin_mul_overflow(total_, list.size(), &total_)) {
      throw UsageError("the sources after ::: make more than 2^64 combinations");
    }
  }
}

InputSource::Next ArgumentLists::next(std::vector<std::string>& arguments) {
  if (given_ == total_) return Next::end;
  arguments.resize(lists_.size());
  std::uint64_t rest = given_++;
  for (std::size_t i = lists_.size(); i-- > 0;) {
    arguments[i] = lists_[i][rest % lists_[i].size()];
    rest /= lists_[i].size();
  }
  return Next::item;
}

std::string ArgumentLists::nothing() const { return "there is no argument after :::"; }

std::string ArgumentLists::position() const { return fmt::format("argument {}", given_); }

std::unique_ptr<Lines> Lines::open(const std::string& path, char delimiter) {
  if (path == "-") {
    const int fd = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) throw InputError("standard input is not open");
    return std::make_unique<Lines>(Descriptor(fd), "standard input", delimiter);
  }
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw InputError(fmt::format("cannot open {}: {}", path, error_text(errno)));
  return std::make_unique<Lines>(Descriptor(fd), path, delimiter);
}

Lines::Lines(Descriptor fd, std::string name, char delimiter)
    : fd_(std::move(fd)), name_(std::move(name)), delimiter_(delimiter) {
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) return;
  if (S_ISDIR(status.st_mode)) throw InputError(name_ + " is a directory");
  regular_file_ = S_ISREG(status.st_mode);
}

InputSource::Next Lines::next(std::vector<std::string>& arguments) {
  arguments.resize(1);
  while (true) {
    if (take_line(arguments.front())) {
      ++line_;
      return Next::item;
    }
    if (at_end_) return Next::end;
    if (const Next filled = fill(); filled != Next::item) return filled;
  }
}

bool Lines::take_line(std::string& line) {
  std::size_t end = buffer_.find(delimiter_, scanned_);
  if (end == std::string::npos) {
    scanned_ = buffer_.size();
    if (buffer_.size() - taken_ > line_bytes_max) {
      throw InputError(fmt::format("line {} of {} is longer than {} MiB", line_ + 1, name_,
                                   line_bytes_max >> 20));
    }
    if (!at_end_ || taken_ == buffer_.size()) return false;
    end = buffer_.size();  // the last line has no newline
  }
  line.assign(buffer_, taken_, end - taken_);
  taken_ = scanned_ = std::min(end + 1, buffer_.size());
  return true;
}

// item: there is more in the buffer, or the end was reached.
InputSource::Next Lines::fill() {
  buffer_.erase(0, taken_);
  scanned_ -= taken_;
  taken_ = 0;
  if (!regular_file_) {
    pollfd readable{fd_.get(), POLLIN, 0};
    if (::poll(&readable, 1, 0) == 0) return Next::pending;
  }
  std::array<char, 65536> block;
  const ssize_t count = ::read(fd_.get(), block.data(), block.size());
  if (count < 0) {
    if (errno == EINTR || errno == EAGAIN) return Next::pending;
    throw InputError(
        fmt::format("cannot read {} after line {}: {}", name_, line_, error_text(errno)));
  }
  at_end_ = count == 0;
  buffer_.append(block.data(), static_cast<std::size_t>(count));
  return Next::item;
}

std::optional<std::uint64_t> Lines::total() const {
  if (!regular_file_) return std::nullopt;
  std::array<char, 65536> block;
  std::uint64_t lines = 0;
  char last = delimiter_;
  off_t at = ::lseek(fd_.get(), 0, SEEK_CUR);
  if (at < 0) return std::nullopt;
  while (true) {
    const ssize_t count = ::pread(fd_.get(), block.data(), block.size(), at);
    if (count < 0) return std::nullopt;
    if (count == 0) break;
    lines +=
        static_cast<std::uint64_t>(std::count(block.begin(), block.begin() + count, delimiter_));
    last = block[static_cast<std::size_t>(count) - 1];
    at += count;
  }
  return lines + (last == delimiter_ ? 0 : 1);
}

std::string Lines::position() const { return fmt::format("line {} of {}", line_, name_); }

}  // namespace pinion::command
