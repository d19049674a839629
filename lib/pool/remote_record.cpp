#include "lib/pool/remote_record.hpp"

#include <pinion/errors.hpp>

#include <cstring>

#include "lib/pool/remote_exception.hpp"

namespace pinion::pool {
namespace {

constexpr std::uint32_t magic = 0x31455850;  // "PXE1"

// What one level can take: three texts of a form or name each, with room for lengths and notes.
constexpr std::size_t level_bytes_max(LevelLimits limits) {
  return type_name_bytes_max + limits.what_bytes_max +
         remote_forms_max * (type_name_bytes_max + limits.form_bytes_max) + 512;
}
static_assert(128 + backtrace_bytes_max + level_bytes_max(outer_limits) +
                      (remote_levels_max - 1) * level_bytes_max(nested_limits) <=
                  exception_bytes_max,
              "what the worker writes within its limits must be taken by the manager");

[[noreturn]] void refuse(const char* why) {
  throw EncodingError(std::string("the error that the worker sent does not decode: ") + why);
}

void write_level(TextWriter& out, const RemoteLevel& level) {
  out.text(level.type_name);
  out.text(level.what);
  out.number(static_cast<std::uint32_t>(level.forms.size()));
  for (const RemoteForm& form : level.forms) {
    out.text(form.name);
    out.text(form.bytes);
  }
}

RemoteLevel read_level(TextReader& in) {
  RemoteLevel level;
  level.type_name = in.text();
  level.what = in.text();
  const auto forms = in.number<std::uint32_t>();
  if (forms > remote_forms_max) refuse("more forms than there can be");
  for (std::uint32_t i = 0; i < forms; ++i) {
    RemoteForm& form = level.forms.emplace_back();
    form.name = in.text();
    form.bytes = in.text();
  }
  return level;
}

}  // namespace

void TextWriter::raw(const void* data, std::size_t size) {
  bytes_.append(static_cast<const char*>(data), size);
}

void TextWriter::text(std::string_view value) {
  number(static_cast<std::uint32_t>(value.size()));
  bytes_.append(value);
}

void TextReader::raw(void* data, std::size_t size) {
  if (rest_.size() < size) refuse("it ends too early");
  std::memcpy(data, rest_.data(), size);
  rest_.remove_prefix(size);
}

std::string TextReader::text() {
  const auto size = number<std::uint32_t>();
  if (rest_.size() < size) refuse("a text is longer than the rest");
  std::string value(rest_.substr(0, size));
  rest_.remove_prefix(size);
  return value;
}

void TextReader::end() const {
  if (!rest_.empty()) refuse("bytes follow its end");
}

std::string cut_text(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  std::size_t keep = bytes_max;
  // Not in the middle of a UTF-8 sequence; in other bytes at most three more are lost.
  for (int i = 0; i < 3 && keep > 0 && (static_cast<unsigned char>(text[keep]) >> 6) == 2; ++i) {
    --keep;
  }
  std::string cut(text.substr(0, keep));
  cut += " [... " + std::to_string(text.size() - keep) + " bytes cut]";
  return cut;
}

std::vector<std::byte> write_record(const RemoteRecord& record) {
  TextWriter out;
  out.number(magic);
  out.number(static_cast<std::uint32_t>(record.worker));
  out.number(static_cast<std::int32_t>(record.pid));
  out.number(record.item);
  out.text(record.backtrace);
  out.number(static_cast<std::uint32_t>(record.levels.size()));
  for (const RemoteLevel& level : record.levels) write_level(out, level);
  const auto bytes = std::as_bytes(std::span(out.bytes()));
  return {bytes.begin(), bytes.end()};
}

RemoteRecord read_record(std::span<const std::byte> bytes) {
  if (bytes.size() > exception_bytes_max) refuse("it is larger than any error");
  TextReader in({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (in.number<std::uint32_t>() != magic) refuse("it does not begin as an error does");
  RemoteRecord record;
  record.worker = in.number<std::uint32_t>();
  record.pid = in.number<std::int32_t>();
  record.item = in.number<std::uint64_t>();
  record.backtrace = in.text();
  const auto levels = in.number<std::uint32_t>();
  if (levels == 0 || levels > remote_levels_max) refuse("a wrong number of nested errors");
  for (std::uint32_t i = 0; i < levels; ++i) record.levels.push_back(read_level(in));
  in.end();
  return record;
}

}  // namespace pinion::pool
