#include "job_name.hpp"

#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/string_generator.hpp>
#include <boost/uuid/uuid_io.hpp>

#include <stdexcept>

namespace pinion::command {
namespace {

constexpr std::string_view mark = "\t# pinion:";
constexpr std::size_t uuid_characters = 36;

// Drawn at random, once.
constexpr JobName name_space{{0x5b, 0x1c, 0x0e, 0x9f, 0x2d, 0x64, 0x4a, 0x17, 0x9a, 0x83, 0xc6,
                              0x40, 0x7e, 0x35, 0xd1, 0xb8}};

}  // namespace

JobName job_name(std::string_view text) {
  return boost::uuids::name_generator_sha1(name_space)(text.data(), text.size());
}

std::string name_mark(const JobName& name) {
  return std::string(mark) + boost::uuids::to_string(name);
}

std::optional<JobName> take_name_mark(std::string& command) {
  constexpr std::size_t length = mark.size() + uuid_characters;
  if (command.size() < length) return std::nullopt;
  const std::size_t at = command.size() - length;
  if (command.compare(at, mark.size(), mark) != 0) return std::nullopt;
  try {
    const JobName name = boost::uuids::string_generator()(command.substr(at + mark.size()));
    command.resize(at);
    return name;
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
}

}  // namespace pinion::command
