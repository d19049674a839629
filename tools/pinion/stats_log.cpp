#include "stats_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "errors.hpp"
#include "write_all.hpp"

namespace pinion::command {
namespace {

WriteError stats_error(const std::string& path, int code) {
  return {fmt::format("cannot write the statistics {}: {}", path, error_text(code)), code};
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string result = "\"";
  while (!text.empty()) {
    const char c = text.front();
    const std::size_t length = character_length(text);
    if (c == '"' || c == '\\') {
      (result += '\\') += c;
    } else if (length > 0) {
      result += text.substr(0, length);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      result += fmt::format("\\u{:04x}", byte < 0x80 ? byte : 0xfffd);
    }
    text.remove_prefix(length > 0 ? length : 1);
  }
  return result += '"';
}

std::string stats_line(const StatsRecord& record) {
  const JobResult& result = record.result;
  std::string cpus;
  for (const unsigned cpu : result.usage.cpus) {
    if (!cpus.empty()) cpus += ',';
    cpus += std::to_string(cpu);
  }
  return fmt::format(
      "{{\"seq\":{},\"attempt\":{},\"command\":{},\"start\":{:.3f},\"wall\":{:.6f},"
      "\"user\":{:.6f},\"system\":{:.6f},\"max_rss_kib\":{},\"cpus\":[{}],\"bound\":{},"
      "\"worker\":{},\"exit\":{},\"signal\":{},\"timed_out\":{},\"oom\":{}}}\n",
      record.sequence, record.attempt, json_string(record.command), result.start_time,
      result.run_time, result.usage.user, result.usage.system, result.usage.max_rss_kib, cpus,
      result.usage.bound, result.worker, result.exit_value, result.signal, record.timed_out,
      record.out_of_memory);
}

StatsLog::StatsLog(const std::string& path, bool goes_on) : path_(path) {
  const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (goes_on ? 0 : O_TRUNC);
  file_.reset(path == "-" ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                          : ::open(path.c_str(), flags, 0666));
  if (!file_) throw stats_error(path_, errno);
}

void StatsLog::flush() {
  if (pending_.empty()) return;
  const int code = write_all(file_.get(), std::exchange(pending_, {}));
  if (code != 0) throw stats_error(path_, code);
}

}  // namespace pinion::command
