#include "job_planner.hpp"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <string_view>

#include "errors.hpp"
#include "job_environment.hpp"
#include "job_log.hpp"
#include "results_table.hpp"

namespace pinion::command {
namespace {

std::string with_tabs(const std::string& text) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool is_tab = std::string_view(text).substr(at, 2) == "\\t";
    result += is_tab ? '\t' : text[at];
    at += is_tab ? 1 : 0;
  }
  return result;
}

// As GNU parallel names them; a number follows.
std::string own_directories() {
  const char* const home = ::getenv("HOME");
  if (home == nullptr || *home == '\0') throw UsageError("--wd ... wants HOME in the environment");
  utsname system{};
  (void)::uname(&system);
  return fmt::format("{}/.parallel/tmp/{}-{}-", home, system.nodename, ::getpid());
}

}  // namespace

JobPlanner::JobPlanner(const RunOptions& options)
    : command_(options.command, options.quote ? CommandTemplate::Quoting::words
                                              : CommandTemplate::Quoting::arguments),
      is_named_(options.resume != ResumeMode::none),
      is_marked_(false) {
  has_table_ = options.results && ResultsTable::separator_of(*options.results);
  if (options.tag && !has_table_) tag_.emplace(with_tabs(*options.tag));
  if (options.working_directory == "...") {
    own_directories_ = own_directories();
  } else if (options.working_directory && *options.working_directory != ".") {
    directory_.emplace(*options.working_directory);
  }
  if (options.results && !has_table_) results_.emplace(*options.results);
  for (const std::string& name : options.environment) {
    for (const std::string& variable : {name, exported_function_variable(name)}) {
      const char* const value = ::getenv(variable.c_str());
      if (value != nullptr) (((environment_ += '\n') += variable) += '=') += value;
    }
  }
  is_marked_ = options.job_log && (directory_ || !environment_.empty() || command_.uses_slot());
}

PlannedJob JobPlanner::plan(const Substitution& job, const LoggedJob* logged) const {
  PlannedJob planned{.sequence = job.sequence, .line = command_.expand(job)};
  if (tag_) planned.tag = tag_->expand(job) + '\t';
  if (directory_) planned.directory = directory_->expand(job);
  if (!own_directories_.empty())
    planned.directory = own_directories_ + std::to_string(job.sequence);
  if (has_table_) planned.arguments.assign(job.arguments.begin(), job.arguments.end());
  if (results_) planned.results = results_->paths(job);
  planned.logged_as = logged != nullptr ? logged->sequence : job.sequence;
  if (logged != nullptr) {
    planned.name = logged->name;
    if (planned.name != job_name(logged_command(planned.line))) {
      planned.mark = name_mark(planned.name);
    }
  } else if (is_named_ || is_marked_) {
    name(planned, job);
  }
  return planned;
}

// The slot is not the job's own: another run may give it another one.
void JobPlanner::name(PlannedJob& planned, const Substitution& job) const {
  if (!is_marked_) {
    planned.name = job_name(logged_command(planned.line));
    return;
  }
  Substitution any_slot = job;
  any_slot.slot = 0;
  const std::string directory = directory_ ? directory_->expand(any_slot) : std::string();
  planned.name =
      job_name(logged_command(command_.expand(any_slot)) + "\n" + directory + environment_);
  planned.mark = name_mark(planned.name);
}

bool JobPlanner::uses_slot() const noexcept {
  return command_.uses_slot() || (tag_ && tag_->uses_slot()) ||
         (directory_ && directory_->uses_slot()) || (results_ && results_->uses_slot());
}

}  // namespace pinion::command
