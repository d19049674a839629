// One output stream of a job: the pipe it comes through, and what was read so far.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "descriptor.hpp"

namespace pinion::command {

class Capture {
 public:
  /// What both streams of a job may hold in memory between two reads; more goes into files.
  static constexpr std::size_t memory_bytes_max = 64 * 1024;

  /// Throws std::system_error.
  void open_pipe();
  void close_pipe() noexcept;
  [[nodiscard]] int read_end() const noexcept { return read_end_.get(); }
  [[nodiscard]] std::uint32_t pipe_inode() const noexcept;
  [[nodiscard]] int write_end() const noexcept { return write_end_.get(); }

  /// Reads once; waits where the pipe is empty and somebody may write. Returns whether anything
  /// came: false is the end.
  bool read();

  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] std::string take_text() noexcept;

  /// Makes the file, once. It takes the place of the pipe's writing end, which the job has by now,
  /// so that want of descriptors does not end a job that runs. Throws std::system_error.
  void open_file();
  [[nodiscard]] int file() const noexcept { return file_.get(); }
  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return file_bytes_; }
  /// The first `count` bytes of the text are in the file now.
  void note_written(std::size_t count) {
    text_.erase(0, count);
    file_bytes_ += count;
  }

 private:
  Descriptor read_end_;
  Descriptor write_end_;
  std::string text_;  // what follows the part in the file
  Descriptor file_;
  std::uint64_t file_bytes_ = 0;
};

}  // namespace pinion::command
