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
  std::string_view mark{};  ///< follows the command, for the next run
};

/// Now, as a start time.
inline double seconds_since_1970() {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return now.count();
}

/// Seq, Host, Starttime, JobRuntime, Send, Receive, Exitval, Signal, Command.
[[nodiscard]] std::string job_log_header();
/// The exit value in the log of a job that was killed together with the run: it may not have done
/// its work, whoever's log that is. GNU parallel does not log such jobs.
constexpr int exit_value_of_killed_run = -2;

/// A command as it is in the log, where newlines are NULs, and NULs are spelled out.
[[nodiscard]] std::string logged_command(std::string_view command);
/// One line with its newline. Newlines in the command become NULs, so that a line stays one, and
/// NULs, which no command that runs can hold, become `\0`.
[[nodiscard]] std::string job_log_line(const JobRecord& record);

/// Writes the log; lines are gathered until `flush`.
class JobLog {
 public:
  /// Creates the file ("-" is standard output), or keeps so many bytes of it, and writes the header
  /// where it keeps none. Throws WriteError.
  explicit JobLog(const std::string& path, std::uint64_t kept_bytes = 0);

  void add(const JobRecord& record) { add(job_log_line(record)); }
  void add(const std::string& line) { pending_ += line; }
  /// Forgets what was not written.
  void drop() noexcept { pending_.clear(); }
  /// Throws WriteError; what could not be written is dropped.
  void flush();

 private:
  std::string path_;
  Descriptor file_;
  std::string pending_;
};

}  // namespace pinion::command
