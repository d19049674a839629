// What `pinion run --help` prints.
#pragma once

namespace pinion::command {

/// At most 24 lines of 80 columns, so that it fits any terminal; the manual page has the rest.
extern const char* const run_help;

}  // namespace pinion::command
