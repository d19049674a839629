// What each attempt at a job has used, as lines of JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "descriptor.hpp"
#include "job.hpp"

namespace pinion::command {

/// One attempt.
struct StatsRecord {
  std::uint64_t sequence = 0;
  std::uint64_t attempt = 1;
  std::string_view command;
  const JobResult& result;
  bool timed_out = false;
  bool out_of_memory = false;  ///< killed by the kernel for want of memory
};

/// `text` as a JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string json_string(std::string_view text);
/// One JSON object and a newline. Times are in seconds, `max_rss_kib` in KiB; `bound` tells whether
/// the program, once executed, had the CPUs of its worker and no others.
[[nodiscard]] std::string stats_line(const StatsRecord& record);

/// Writes them; lines are gathered until `flush`.
class StatsLog {
 public:
  /// Creates or empties the file ("-" is standard output), or `goes_on` at its end. Throws
  /// WriteError.
  StatsLog(const std::string& path, bool goes_on);

  void add(const StatsRecord& record) { pending_ += stats_line(record); }
  /// Throws WriteError; what could not be written is dropped.
  void flush();

 private:
  std::string path_;
  Descriptor file_;
  std::string pending_;
};

}  // namespace pinion::command
