#include "results.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <boost/uuid/uuid_io.hpp>

#include <cerrno>
#include <filesystem>

#include "copy_file.hpp"
#include "descriptor.hpp"
#include "errors.hpp"
#include "job_name.hpp"
#include "write_all.hpp"

namespace pinion::command {
namespace {

constexpr std::size_t name_bytes_max = 255;  // of a file

// An argument as the name of a file. GNU parallel's, but for those that would be no name of their
// own: empty ones, "." and "..", and those that are too long, which end with a hash.
std::string file_name_of(std::string_view argument) {
  if (argument.empty()) return "\\";
  std::string name = argument == "." || argument == ".." ? "\\" : "";
  for (const char c : argument) {
    switch (c) {
      case '\\':
        name += "\\\\";
        break;
      case '/':
        name += "\\_";
        break;
      case '\t':
        name += "\\t";
        break;
      case '\0':
        name += "\\0";
        break;
      default:
        name += c;
    }
  }
  if (name.size() <= name_bytes_max) return name;
  const std::string hash = "-" + boost::uuids::to_string(job_name(argument));
  return name.substr(0, name_bytes_max - hash.size()) + hash;
}

WriteError result_error(const std::string& path, int code) {
  return {fmt::format("cannot write the result {}: {}", path, error_text(code)), code};
}

Descriptor open_result(const std::string& path, int flags) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666));
  if (!file && errno == ENOENT) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
    file.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666));
  }
  if (!file) throw result_error(path, errno);
  return file;
}

void write_stream(const std::string& path, const StreamOutput& stream) {
  const Descriptor file = open_result(path, O_TRUNC);
  int code = stream.file ? copy_file(stream.file.get(), stream.file_bytes, file.get()) : 0;
  if (code == 0) code = write_all(file.get(), stream.text);
  if (code != 0) throw result_error(path, code);
}

ResultPaths paths_in(const std::string& folder) {
  return {.out = folder + "/stdout", .err = folder + "/stderr", .sequence = folder + "/seq"};
}

}  // namespace

Results::Results(const std::string& place) : folder_(place) {
  if (place.ends_with(".json")) {
    throw UsageError(
        fmt::format("--results {}: JSON is not supported; give a folder, .csv or .tsv", place));
  }
  if (place.empty()) throw UsageError("--results wants a folder");
  CommandTemplate candidate(place);
  if (candidate.replaces()) template_.emplace(std::move(candidate));
}

ResultPaths Results::paths(const Substitution& job) const {
  if (!template_) {
    std::string folder = folder_;
    for (std::size_t i = 0; i < job.arguments.size(); ++i) {
      folder += fmt::format("/{}/{}", i + 1, file_name_of(job.arguments[i]));
    }
    return paths_in(folder);
  }
  const std::string name = template_->expand(job);
  if (name.ends_with('/')) return paths_in(name.substr(0, name.size() - 1));
  return {.out = name, .err = name + ".err", .sequence = name + ".seq"};
}

void write_results(const ResultPaths& paths, std::uint64_t sequence, const JobOutput& output) {
  write_stream(paths.out, output.out);
  write_stream(paths.err, output.err);
  add_result(paths.sequence, std::to_string(sequence), true);
}

void add_result(const std::string& path, std::string_view text, bool anew) {
  const Descriptor file = open_result(path, anew ? O_TRUNC : O_APPEND);
  const int code = write_all(file.get(), text);
  if (code != 0) throw result_error(path, code);
}

}  // namespace pinion::command
