#include "job_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>

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

std::string job_log_line(const JobRecord& record) {
  // The run time is cut to milliseconds, not rounded, as GNU parallel does.
  std::string line = fmt::format("{}\t:\t{:.3f}\t{:10.3f}\t0\t{}\t{}\t{}\t", record.sequence,
                                 record.start_time, std::floor(record.run_time * 1000) / 1000,
                                 record.received, record.exit_value, record.signal);
  for (const char c : record.command) {
    if (c == '\0') {
      line += "\\0";
    } else {
      line += c == '\n' ? '\0' : c;
    }
  }
  line += '\n';
  return line;
}

JobLog::JobLog(const std::string& path) : path_(path), pending_(job_log_header()) {
  file_.reset(path == "-" ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                          : ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file_) throw log_error(path_, errno);
  flush();
}

void JobLog::flush() {
  if (pending_.empty()) return;
  const int code = write_all(file_.get(), pending_);
  pending_.clear();
  if (code != 0) throw log_error(path_, code);
}

}  // namespace pinion::command
