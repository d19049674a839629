#include "job_history.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <optional>
#include <string_view>
#include <utility>

#include "errors.hpp"
#include "job_log.hpp"

namespace pinion::command {
namespace {

// The columns before the command.
constexpr std::size_t columns = 8;
constexpr std::size_t sequence_column = 0, exit_column = 6, signal_column = 7;

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Cuts the columns off `line`, whose rest is the command.
std::optional<std::array<std::string_view, columns>> take_columns(std::string_view& line) {
  std::array<std::string_view, columns> result;
  for (std::string_view& column : result) {
    const std::size_t end = line.find('\t');
    if (end == std::string_view::npos) return std::nullopt;
    column = line.substr(0, end);
    line.remove_prefix(end + 1);
  }
  return result;
}

}  // namespace

JobHistory::JobHistory(const std::string& path, ResumeMode mode) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return;
    throw InputError(fmt::format("cannot read the job log {}: {}", path, error_text(errno)));
  }
  if (!S_ISREG(status.st_mode)) {
    throw InputError(
        fmt::format("the job log {} is no regular file, so no run can be resumed "
                    "from it",
                    path));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(fmt::format("cannot read the job log {}", path));
  Entries entries;
  const std::string head = job_log_header();
  std::string line;
  bool in_head = true;
  while (std::getline(file, line)) {
    if (file.eof()) {  // there is no newline: it is not whole
      if (in_head && head.starts_with(line)) return;
      break;
    }
    whole_bytes_ += line.size() + 1;
    if (!in_head) {
      read_line(std::move(line), entries, mode == ResumeMode::only_failed);
    } else if (line + '\n' != head) {
      break;
    }
    in_head = false;
  }
  if (file.bad()) throw InputError(fmt::format("cannot read the job log {}", path));
  if (in_head && status.st_size > 0) {
    throw InputError(fmt::format("{} is no job log: its first line is another", path));
  }
  for (auto& [sequence, jobs] : entries) {
    for (Entry& job : jobs) {
      if (mode == ResumeMode::only_failed) {
        if (job.failed) failed_.push_back({sequence, std::move(job.command), job.name});
      } else if (job.finished && (!job.failed || mode == ResumeMode::unfinished)) {
        ++done_[job.name];
      }
    }
  }
  std::sort(failed_.begin(), failed_.end(), [](const LoggedJob& left, const LoggedJob& right) {
    return left.sequence < right.sequence;
  });
}

// Of two lines about one job the last one counts: it has been tried again.
void JobHistory::read_line(std::string&& line, Entries& entries, bool keep_commands) const {
  std::string_view rest = line;
  const auto found = take_columns(rest);
  if (!found) return;
  const auto sequence = number_of<std::uint64_t>((*found)[sequence_column]);
  const auto exit_value = number_of<int>((*found)[exit_column]);
  const auto signal = number_of<int>((*found)[signal_column]);
  if (!sequence || !exit_value || !signal) return;
  Entry entry{.failed = *exit_value != 0 || *signal != 0,
              .finished = *exit_value != exit_value_of_killed_run};
  entry.command = rest;
  const std::optional<JobName> marked = take_name_mark(entry.command);
  entry.name = marked ? *marked : job_name(entry.command);
  if (keep_commands) {
    std::replace(entry.command.begin(), entry.command.end(), '\0', '\n');
  } else {
    entry.command = {};
  }
  std::vector<Entry>& same_number = entries[*sequence];
  const auto earlier = std::find_if(same_number.begin(), same_number.end(),
                                    [&](const Entry& other) { return other.name == entry.name; });
  if (earlier != same_number.end()) {
    *earlier = std::move(entry);
  } else {
    same_number.push_back(std::move(entry));
  }
}

bool JobHistory::has_done(const JobName& name) {
  const auto found = done_.find(name);
  if (found == done_.end() || found->second == 0) return false;
  --found->second;
  return true;
}

InputSource::Next FailedJobs::next(std::vector<std::string>& arguments) {
  if (given_ == jobs_.size()) return Next::end;
  arguments.assign(1, jobs_[given_++].command);
  return Next::item;
}

std::string FailedJobs::position() const {
  return given_ == 0 ? "the begin of the log"
                     : fmt::format("job {} of the log", jobs_[given_ - 1].sequence);
}

}  // namespace pinion::command
