#include "lib/loop/child_image.hpp"

#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace pinion::loop {

namespace {

ChildDefaults process_defaults;  // what set_child_defaults was told

// The kernel's and the C library's own, where PATH is not set.
constexpr std::string_view default_path = "/bin:/usr/bin";

void require_text(const std::string& text, const char* name) {
  if (text.find('\0') != std::string::npos)
    throw std::invalid_argument(std::string("SpawnRequest::") + name + " has a NUL in it");
}

std::vector<char*> pointers(const std::vector<std::string>& texts, const char* name) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (const std::string& text : texts) {
    require_text(text, name);
    result.push_back(const_cast<char*>(text.c_str()));  // execve writes to none of them
  }
  result.push_back(nullptr);
  return result;
}

std::string_view search_path(const io::SpawnRequest& request) {
  if (!request.environment) {
    const char* const own = std::getenv("PATH");
    return own == nullptr ? default_path : std::string_view(own);
  }
  for (const std::string& variable : *request.environment)
    if (variable.starts_with("PATH=")) return std::string_view(variable).substr(5);
  return default_path;
}

std::vector<std::string> candidates(const io::SpawnRequest& request) {
  if (!request.program.empty()) return {request.program};
  const std::string& name = request.argv.front();
  if (!request.search_path || name.find('/') != std::string::npos || name.empty()) return {name};
  std::vector<std::string> result;
  std::string_view path = search_path(request);
  for (;;) {
    const std::size_t end = path.find(':');
    const std::string_view directory = path.substr(0, end);
    // An empty element is the working directory.
    result.push_back(directory.empty() ? name : std::string(directory) + "/" + name);
    if (end == std::string_view::npos) return result;
    path.remove_prefix(end + 1);
  }
}

}  // namespace

void set_child_defaults(const ChildDefaults& defaults) noexcept { process_defaults = defaults; }
const ChildDefaults& child_defaults() noexcept { return process_defaults; }

ChildImage::ChildImage(const io::SpawnRequest& r) : request(r), defaults(process_defaults) {
  if (r.argv.empty()) throw std::invalid_argument("SpawnRequest::argv is empty");
  argv = pointers(r.argv, "argv");
  if (r.environment) environment = pointers(*r.environment, "environment");
  require_text(r.program, "program");
  require_text(r.working_directory, "working_directory");
  programs = candidates(r);
  for (const std::string& program : programs) program_paths.push_back(program.c_str());
}

std::string ChildImage::describe(ChildStep step) const {
  const std::string& name = request.argv.front();
  switch (step) {
    case ChildStep::group:
      return "making a process group for " + name;
    case ChildStep::directory:
      return "entering the working directory " + request.working_directory + " for " + name;
    case ChildStep::descriptors:
      return "giving descriptors to " + name;
    case ChildStep::limits:
      return "giving limits back to " + name;
    case ChildStep::none:
    case ChildStep::program:
      break;
  }
  return "starting " + name;
}

}  // namespace pinion::loop
