// What a job is called over runs: a hash of all that makes it this job, and not its number.
#pragma once

#include <boost/uuid/uuid.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace pinion::command {

/// A name-based UUID (RFC 4122, version 5: SHA-1).
using JobName = boost::uuids::uuid;

/// The name of what `text` says.
[[nodiscard]] JobName job_name(std::string_view text);

/// What follows a command in the job log where the command alone does not make the job: a comment
/// to a shell.
[[nodiscard]] std::string name_mark(const JobName& name);

/// Takes such a mark from the end of `command`, if there is one.
[[nodiscard]] std::optional<JobName> take_name_mark(std::string& command);

}  // namespace pinion::command
