#include "output.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "copy_file.hpp"
#include "errors.hpp"
#include "write_all.hpp"

namespace pinion::command {
namespace {

// Enough for a system call to be a small part of the cost, little enough to be seen soon.
constexpr std::size_t gathered_bytes_max = 64 * 1024;

std::size_t bytes_of(const JobOutput& output) noexcept {
  return output.out.text.capacity() + output.err.text.capacity();
}

std::size_t files_of(const JobOutput& output) noexcept {
  return (output.out.file ? 1u : 0u) + (output.err.file ? 1u : 0u);
}

}  // namespace

void Output::add(std::uint64_t sequence, JobOutput&& output) {
  if (order_ == Order::completion || sequence == next_) {
    ++next_;
    print(output);
  } else {
    held_bytes_ += bytes_of(output);
    held_files_ += files_of(output);
    held_.emplace(sequence, std::move(output));
  }
  while (!held_.empty() && held_.begin()->first == next_) {
    JobOutput ready = std::move(held_.begin()->second);
    held_.erase(held_.begin());
    held_bytes_ -= bytes_of(ready);
    held_files_ -= files_of(ready);
    ++next_;
    print(ready);
  }
}

void Output::print(JobOutput& output) {
  if (discarding_) return;
  print_stream(STDOUT_FILENO, output.out, pending_out_);
  if (!output.err.file && output.err.text.empty()) return;
  flush();  // a job's standard output stands before its standard error
  std::string pending_err;
  print_stream(STDERR_FILENO, output.err, pending_err);
  write(STDERR_FILENO, pending_err);
}

void Output::print_stream(int fd, StreamOutput& stream, std::string& pending) {
  if (stream.file) {
    write(fd, pending);
    const int code = copy_file(stream.file.get(), stream.file_bytes, fd);
    if (code != 0) fail(fd, code);
  }
  if (pending.empty()) {
    pending = std::move(stream.text);
  } else {
    pending += stream.text;
  }
  if (pending.size() >= gathered_bytes_max) write(fd, pending);
}

void Output::flush() { write(STDOUT_FILENO, pending_out_); }

void Output::write(int fd, std::string& pending) {
  if (pending.empty()) return;
  const int code = discarding_ ? 0 : write_all(fd, pending);
  pending.clear();
  if (code != 0) fail(fd, code);
}

void Output::fail(int fd, int code) {
  discarding_ = true;
  pending_out_.clear();
  throw WriteError(fmt::format("cannot write to standard {}: {}",
                               fd == STDOUT_FILENO ? "output" : "error", error_text(code)),
                   code);
}

}  // namespace pinion::command
