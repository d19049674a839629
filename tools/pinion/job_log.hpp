// The job log, in GNU parallel's format.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "descriptor.hpp"

namespace pinion::command {

/// One line of the log.
struct JobRecord {
  std::uint64_t sequence = 0;
  double start_time = 0;       ///< seconds since 1970
  double run_time = 0;         ///< seconds
  std::uint64_t received = 0;  ///< bytes of standard output
  int exit_value = 0;
  int signal = 0;
  std::string_view command;
};

/// Now, as a start time.
inline double seconds_since_1970() {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return now.count();
}

/// Seq, Host, Starttime, JobRuntime, Send, Receive, Exitval, Signal, Command.
[[nodiscard]] std::string job_log_header();
/// One line with its newline. Newlines in the command become NULs, so that a line stays one, and
/// NULs, which no command that runs can hold, become `\0`.
[[nodiscard]] std::string job_log_line(const JobRecord& record);

/// Writes the log; lines are gathered until `flush`.
class JobLog {
 public:
  /// Creates or empties the file ("-" is standard output) and writes the header. Throws WriteError.
  explicit JobLog(const std::string& path);

  void add(const JobRecord& record) { pending_ += job_log_line(record); }
  /// Throws WriteError; what could not be written is dropped.
  void flush();

 private:
  std::string path_;
  Descriptor file_;
  std::string pending_;
};

}  // namespace pinion::command
