#include "job_planner.hpp"

#include <string_view>

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

}  // namespace

JobPlanner::JobPlanner(const RunOptions& options)
    : command_(options.command, options.quote ? CommandTemplate::Quoting::words
                                              : CommandTemplate::Quoting::arguments) {
  if (options.tag) tag_.emplace(with_tabs(*options.tag));
  if (options.working_directory && *options.working_directory != ".") {
    directory_.emplace(*options.working_directory);
  }
}

PlannedJob JobPlanner::plan(const Substitution& job) const {
  PlannedJob planned{.sequence = job.sequence, .line = command_.expand(job)};
  if (tag_) planned.tag = tag_->expand(job) + '\t';
  if (directory_) planned.directory = directory_->expand(job);
  return planned;
}

bool JobPlanner::uses_slot() const noexcept {
  return command_.uses_slot() || (tag_ && tag_->uses_slot()) ||
         (directory_ && directory_->uses_slot());
}

}  // namespace pinion::command
