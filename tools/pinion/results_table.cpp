#include "results_table.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>

#include "errors.hpp"
#include "write_all.hpp"

namespace pinion::command {
namespace {

WriteError table_error(const std::string& name, int code) {
  return {fmt::format("cannot write the results {}: {}", name, error_text(code)), code};
}

// Calls `each` with the text of a file, piece by piece. Returns an errno, or 0.
template <class Each>
int read_file(int fd, std::uint64_t bytes_max, Each each) {
  std::array<char, 65536> block;
  for (std::uint64_t at = 0; at < bytes_max;) {
    const auto wanted = std::min<std::uint64_t>(block.size(), bytes_max - at);
    const ssize_t count = ::pread(fd, block.data(), wanted, static_cast<off_t>(at));
    if (count < 0) return errno;
    if (count == 0) return 0;
    each(std::string_view(block.data(), static_cast<std::size_t>(count)));
    at += static_cast<std::uint64_t>(count);
  }
  return 0;
}

// A row ends with a newline that is in no quotes.
std::uint64_t bytes_of_whole_rows(int fd) {
  std::uint64_t at = 0, whole = 0;
  bool quoted = false;
  const int code = read_file(fd, UINT64_MAX, [&](std::string_view text) {
    for (const char c : text) {
      ++at;
      if (c == '"') quoted = !quoted;
      if (c == '\n' && !quoted) whole = at;
    }
  });
  return code == 0 ? whole : 0;
}

bool needs_quotes(std::string_view text, char separator) {
  constexpr std::string_view special("\" \t\n\r\f\v\0", 8);
  return text.find(separator) != text.npos || text.find_first_of(special) != text.npos;
}

std::string with_doubled_quotes(std::string_view text) {
  std::string result;
  result.reserve(text.size() + 2);
  for (const char c : text) result.append(c == '"' ? 2 : 1, c);
  return result;
}

std::string field(std::string_view text, char separator) {
  if (!needs_quotes(text, separator)) return std::string(text);
  return '"' + with_doubled_quotes(text) + '"';
}

void append_field(StreamOutput& row, const StreamOutput& text, char separator) {
  if (!text.file) {
    row.append(field(text.text, separator));
    return;
  }
  row.append("\"");
  const int code = read_file(text.file.get(), text.file_bytes, [&](std::string_view piece) {
    row.append(with_doubled_quotes(piece));
  });
  if (code != 0)
    throw WriteError("cannot read the output of a job again: " + error_text(code), code);
  row.append(with_doubled_quotes(text.text));
  row.append("\"");
}

}  // namespace

ResultsTable::ResultsTable(const std::string& name, char separator, bool goes_on)
    : name_(name), separator_(separator) {
  constexpr int flags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC;
  const bool is_file = name != "-.csv" && name != "-.tsv";
  file_.reset(is_file ? ::open(name.c_str(), flags | (goes_on ? 0 : O_TRUNC), 0666)
                      : ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  if (!file_) throw table_error(name, errno);
  if (!is_file || !goes_on) return;
  const std::uint64_t kept = bytes_of_whole_rows(file_.get());
  has_header_ = kept > 0;
  if (::ftruncate(file_.get(), static_cast<off_t>(kept)) != 0) throw table_error(name, errno);
}

// Not with the first row, which may wait for its turn behind others.
void ResultsTable::write_header(std::size_t arguments) {
  std::string header;
  for (const char* name : {"Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval",
                           "Signal", "Command"}) {
    (header += name) += separator_;
  }
  for (std::size_t i = 1; i <= arguments; ++i) header += fmt::format("V{}{}", i, separator_);
  header += fmt::format("Stdout{}Stderr\n", separator_);
  const int code = write_all(file_.get(), header);
  if (code != 0) throw table_error(name_, code);
  has_header_ = true;
}

StreamOutput ResultsTable::row(const TableRow& job, JobOutput&& output) {
  if (!has_header_) write_header(job.arguments.size());
  StreamOutput row;
  const auto add = [&](std::string_view text) { row.append(field(text, separator_) + separator_); };
  add(std::to_string(job.sequence));
  add(":");
  add(fmt::format("{:.3f}", job.start_time));
  add(fmt::format("{:.3f}", job.run_time));
  add("0");
  add(std::to_string(job.received));
  add(std::to_string(job.exit_value));
  add(std::to_string(job.signal));
  add(job.command);
  for (const std::string& argument : job.arguments) add(argument);
  append_field(row, output.out, separator_);
  row.append(std::string_view(&separator_, 1));
  append_field(row, output.err, separator_);
  row.append("\n");
  return row;
}

}  // namespace pinion::command
