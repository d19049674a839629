#include "job_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>

#include "errors.hpp"
#include "write_all.hpp"

namespace pinion::command {
namespace {

WriteError log_error(const std::string& path, int code) {
  return {fmt::format("cannot write the job log {}: {}", path, error_text(code)), code};
}

}  // namespace

std::string job_log_header() {
  return "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";
}

std::string logged_command(std::string_view command) {
  std::string text;
  text.reserve(command.size());
  for (const char c : command) {
    if (c == '\0') {
      text += "\\0";
    } else {
      text += c == '\n' ? '\0' : c;
    }
  }
  return text;
}

std::string job_log_line(const JobRecord& record) {
  // The run time is cut to milliseconds, not rounded, as GNU parallel does.
  std::string line = fmt::format("{}\t:\t{:.3f}\t{:10.3f}\t0\t{}\t{}\t{}\t", record.sequence,
                                 record.start_time, std::floor(record.run_time * 1000) / 1000,
                                 record.received, record.exit_value, record.signal);
  line += logged_command(record.command);
  line += record.mark;
  line += '\n';
  return line;
}

JobLog::JobLog(const std::string& path, std::uint64_t kept_bytes) : path_(path) {
  constexpr int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  const bool is_file = path != "-";
  file_.reset(is_file ? ::open(path.c_str(), flags | (kept_bytes == 0 ? O_TRUNC : 0), 0666)
                      : ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  if (!file_) throw log_error(path_, errno);
  if (kept_bytes == 0) {
    pending_ = job_log_header();
  } else if (::ftruncate(file_.get(), static_cast<off_t>(kept_bytes)) != 0) {
    throw log_error(path_, errno);
  }
  flush();
}

void JobLog::flush() {
  if (pending_.empty()) return;
  const int code = write_all(file_.get(), pending_);
  pending_.clear();
  if (code != 0) throw log_error(path_, code);
}

}  // namespace pinion::command
