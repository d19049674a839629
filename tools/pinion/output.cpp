#include "output.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>
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

void StreamOutput::append(std::string_view more) {
  constexpr std::size_t text_bytes_max = 64 * 1024;
  text += more;
  if (text.size() <= text_bytes_max) return;
  try {
    if (!file) file = make_spill_file();
  } catch (const std::system_error& error) {
    throw WriteError(error.what(), error.code().value());
  }
  const int code = write_all(file.get(), text);
  if (code != 0) {
    throw WriteError(
        fmt::format("cannot write an output to a file in {}: {}", spill_folder(), error_text(code)),
        code);
  }
  file_bytes += text.size();
  text.clear();
}

void Output::add(std::uint64_t sequence, JobOutput&& output) {
  if (auto part = parts_.extract(sequence)) {
    JobOutput whole = std::move(part.mapped());
    whole.out.append(output.out.text);
    whole.err.append(output.err.text);
    output = std::move(whole);
  }
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
  if (!parts_.empty()) go_on();
}

// It is another job's turn now, whose lines may wait.
void Output::go_on() {
  const auto next = parts_.find(next_);
  if (order_ == Order::completion || next == parts_.end()) return;
  print_lines(out_, next->second.out, next->second.tag);
  print_lines(STDERR_FILENO, next->second.err, next->second.tag);
}

void Output::add_part(std::uint64_t sequence, const std::string& tag, Stream stream,
                      std::string_view text) {
  if (discarding_) return;
  JobOutput& part = parts_[sequence];
  part.tag = tag;
  const bool is_out = stream == Stream::out;
  StreamOutput& kept = is_out ? part.out : part.err;
  const std::size_t lines = text.rfind('\n') + 1;
  const bool may_print = order_ == Order::completion || sequence == next_;
  if (!may_print || lines == 0) {
    kept.append(text);
    return;
  }
  kept.text += text.substr(0, lines);
  print_lines(is_out ? out_ : STDERR_FILENO, kept, tag);
  kept.text = text.substr(lines);
}

// All but what follows the last newline.
void Output::print_lines(int fd, StreamOutput& stream, const std::string& tag) {
  const std::size_t lines = stream.text.rfind('\n') + 1;
  if (lines == 0) return;
  StreamOutput whole = std::move(stream);
  stream = {};
  stream.text = whole.text.substr(lines);
  whole.text.resize(lines);
  if (fd == out_) {
    print_one(fd, whole, tag, pending_out_);
    return;
  }
  flush();
  std::string pending_err;
  print_one(fd, whole, tag, pending_err);
  write(fd, pending_err);
}

void Output::print(JobOutput& output) {
  if (discarding_) return;
  print_one(out_, output.out, output.tag, pending_out_);
  if (output.err.empty()) return;
  flush();  // a job's standard output stands before its standard error
  std::string pending_err;
  print_one(STDERR_FILENO, output.err, output.tag, pending_err);
  write(STDERR_FILENO, pending_err);
}

void Output::print_one(int fd, StreamOutput& stream, const std::string& tag, std::string& pending) {
  if (tag.empty()) {
    print_stream(fd, stream, pending);
  } else {
    print_tagged(fd, stream, tag, pending);
  }
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

void Output::print_tagged(int fd, const StreamOutput& stream, const std::string& tag,
                          std::string& pending) {
  bool at_begin = true;  // of a line
  const auto add = [&](std::string_view text) {
    while (!text.empty()) {
      if (at_begin) pending += tag;
      const std::size_t end = text.find('\n');
      at_begin = end != std::string_view::npos;
      const std::string_view line = text.substr(0, at_begin ? end + 1 : text.size());
      pending += line;
      text.remove_prefix(line.size());
      if (pending.size() >= gathered_bytes_max) write(fd, pending);
    }
  };
  std::array<char, 65536> block;
  for (std::uint64_t at = 0; at < stream.file_bytes;) {
    const auto wanted = std::min<std::uint64_t>(block.size(), stream.file_bytes - at);
    const ssize_t count = ::pread(stream.file.get(), block.data(), wanted, static_cast<off_t>(at));
    if (count <= 0) fail(fd, count < 0 ? errno : EIO);
    add(std::string_view(block.data(), static_cast<std::size_t>(count)));
    at += static_cast<std::uint64_t>(count);
  }
  add(stream.text);
}

void Output::flush() { write(out_, pending_out_); }

void Output::write(int fd, std::string& pending) {
  if (pending.empty()) return;
  const int code = discarding_ ? 0 : write_all(fd, pending);
  pending.clear();
  if (code != 0) fail(fd, code);
}

void Output::fail(int fd, int code) {
  discarding_ = true;
  pending_out_.clear();
  const char* const where = fd == STDERR_FILENO   ? "to standard error"
                            : fd == STDOUT_FILENO ? "to standard output"
                                                  : "the results";
  throw WriteError(fmt::format("cannot write {}: {}", where, error_text(code)), code);
}

}  // namespace pinion::command
