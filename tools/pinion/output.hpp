// Prints what jobs have printed: each job's output whole, in order of completion or of input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "descriptor.hpp"
#include "spill.hpp"

namespace pinion::command {

/// One stream of a finished job: first the file's part, then the text.
struct StreamOutput {
  Descriptor file{};
  std::uint64_t file_bytes = 0;
  std::string text{};

  [[nodiscard]] bool empty() const noexcept { return file_bytes == 0 && text.empty(); }
  /// Adds to the text, which goes into the file where it is long. Throws WriteError.
  void append(std::string_view more);
};

struct JobOutput {
  std::string tag{};  ///< stands before each line
  StreamOutput out{};
  StreamOutput err{};
};

class Output {
 public:
  enum class Order { completion, input };

  /// `out`: where standard outputs go.
  explicit Output(Order order, int out = 1) noexcept : order_(order), out_(out) {}

  /// Prints, or holds until all jobs before it were added. Sequence numbers begin at 1 and none is
  /// left out. Throws WriteError; from then on everything is discarded.
  void add(std::uint64_t sequence, JobOutput&& output);
  /// Prints the whole lines of what a running job has printed, and keeps the rest until its end; in
  /// the order of the input, as soon as all jobs before it were added. Throws as `add`.
  void add_part(std::uint64_t sequence, const std::string& tag, Stream stream,
                std::string_view text);
  /// Prints what was gathered to save system calls. Throws WriteError.
  void flush();

  /// The first job that was not printed yet, where they are in the order of the input.
  [[nodiscard]] std::uint64_t next() const noexcept { return next_; }
  /// Whether a write has failed: what was added since, or shortly before, is lost.
  [[nodiscard]] bool has_failed() const noexcept { return discarding_; }
  /// What is held because a job before it has not ended.
  [[nodiscard]] std::size_t held_jobs() const noexcept { return held_.size(); }
  [[nodiscard]] std::size_t held_bytes() const noexcept { return held_bytes_; }
  [[nodiscard]] std::size_t held_files() const noexcept { return held_files_; }

 private:
  void print(JobOutput& output);
  void print_one(int fd, StreamOutput& stream, const std::string& tag, std::string& pending);
  void print_lines(int fd, StreamOutput& stream, const std::string& tag);
  void go_on();
  void print_stream(int fd, StreamOutput& stream, std::string& pending);
  void print_tagged(int fd, const StreamOutput& stream, const std::string& tag,
                    std::string& pending);
  void write(int fd, std::string& pending);
  [[noreturn]] void fail(int fd, int code);

  Order order_;
  int out_;
  bool discarding_ = false;
  std::uint64_t next_ = 1;
  std::string pending_out_;
  std::map<std::uint64_t, JobOutput> held_;
  std::map<std::uint64_t, JobOutput> parts_;  // of jobs that run
  std::size_t held_bytes_ = 0;
  std::size_t held_files_ = 0;
};

}  // namespace pinion::command
