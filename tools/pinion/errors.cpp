#include "errors.hpp"

#include <system_error>

namespace pinion::command {

std::string error_text(int error_code) { return std::generic_category().message(error_code); }

}  // namespace pinion::command
