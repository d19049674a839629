// How the exceptions of the standard library and of pinion travel.
#include <pinion/errors.hpp>
#include <pinion/exception.hpp>

#include <any>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <variant>
#include <version>
#ifdef __cpp_lib_format
#include <format>
#endif

#include "lib/pool/remote_kinds.hpp"
#include "lib/pool/remote_record.hpp"

namespace pinion::pool {
namespace {

// Stands for the category of an error code that the manager does not know; the value is kept.
class UnknownCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "remote"; }
  std::string message(int value) const override {
    return "error " + std::to_string(value) + " of a category that only the worker knows";
  }
};

const std::error_category& category_named(std::string_view name) {
  static const UnknownCategory unknown;
  for (const std::error_category* c : {&std::generic_category(), &std::system_category(),
                                       &std::iostream_category(), &std::future_category()}) {
    if (name == c->name()) return *c;
  }
  return unknown;
}

void write_code(TextWriter& out, const std::error_code& code) {
  out.text(code.category().name());
  out.number(static_cast<std::int32_t>(code.value()));
}

std::error_code read_code(TextReader& in) {
  const std::string category = in.text();
  return {in.number<std::int32_t>(), category_named(category)};
}

// `std::system_error` adds the code's message to the text that it is made with.
std::string without_message(const std::string& what, const std::error_code& code) {
  const std::string tail = ": " + code.message();
  return what.ends_with(tail) ? what.substr(0, what.size() - tail.size()) : what;
}

template <class T>
struct SystemErrorCodec {
  static std::string encode(const T& error) {
    TextWriter out;
    write_code(out, error.code());
    return out.bytes();
  }
  static T decode(const std::string& what, std::string_view bytes) {
    TextReader in(bytes);
    const std::error_code code = read_code(in);
    in.end();
    return make(code, without_message(what, code));
  }

 private:
  static T make(const std::error_code& code, const std::string& text) {
    if constexpr (std::is_same_v<T, std::system_error>) {
      return T(code, text);
    } else {
      return T(text, code);  // std::ios_base::failure
    }
  }
};

struct FilesystemErrorCodec {
  using T = std::filesystem::filesystem_error;

  static std::string encode(const T& error) {
    TextWriter out;
    write_code(out, error.code());
    out.text(error.path1().native());
    out.text(error.path2().native());
    return out.bytes();
  }
  static T decode(const std::string& what, std::string_view bytes) {
    TextReader in(bytes);
    const std::error_code code = read_code(in);
    const std::string path1 = in.text();
    const std::string path2 = in.text();
    in.end();
    return T(what, path1, path2, code);
  }
};

struct FutureErrorCodec {
  static std::string encode(const std::future_error& error) {
    TextWriter out;
    out.number(static_cast<std::int32_t>(error.code().value()));
    return out.bytes();
  }
  static std::future_error decode(const std::string&, std::string_view bytes) {
    TextReader in(bytes);
    const auto code = in.number<std::int32_t>();
    in.end();
    return std::future_error(static_cast<std::future_errc>(code));
  }
};

struct RegexErrorCodec {
  static std::string encode(const std::regex_error& error) {
    TextWriter out;
    out.number(static_cast<std::int32_t>(error.code()));
    return out.bytes();
  }
  static std::regex_error decode(const std::string&, std::string_view bytes) {
    TextReader in(bytes);
    const auto code = in.number<std::int32_t>();
    in.end();
    // The enumeration has no fixed type: a value outside it would be undefined behaviour.
    if (code < 0 || code > static_cast<std::int32_t>(std::regex_constants::error_stack)) {
      throw EncodingError("a regex_error with a code that there is not");
    }
    return std::regex_error(static_cast<std::regex_constants::error_type>(code));
  }
};

struct PoolTerminatedCodec {
  static std::string encode(const PoolTerminated& error) { return std::string(error.cause()); }
  static PoolTerminated decode(const std::string&, std::string_view bytes) {
    return bytes.empty() ? PoolTerminated() : PoolTerminated(std::string(bytes));
  }
};

struct ResourceErrorCodec {
  static std::string encode(const ResourceError& error) {
    TextWriter out;
    for (const std::string* part : {&error.limit(), &error.found(), &error.remedy()}) {
      out.text(*part);
    }
    return out.bytes();
  }
  static ResourceError decode(const std::string& what, std::string_view bytes) {
    TextReader in(bytes);
    std::string limit = in.text();
    std::string found = in.text();
    std::string remedy = in.text();
    in.end();
    if (limit.empty()) return ResourceError(what);
    return ResourceError(std::move(limit), std::move(found), std::move(remedy));
  }
};

// The enumerators of `E` count from 0 to `last`.
template <class E>
E read_enum(TextReader& in, E last) {
  const auto value = in.number<std::uint32_t>();
  if (value > static_cast<std::uint32_t>(last)) {
    throw EncodingError("an enumerator that there is not");
  }
  return static_cast<E>(value);
}

struct WorkerLostCodec {
  static std::string encode(const WorkerLost& error) {
    const WorkerLost::Details& d = error.details();
    TextWriter out;
    out.number(static_cast<std::uint32_t>(d.worker));
    out.number(static_cast<std::int32_t>(d.pid));
    out.number(static_cast<std::uint32_t>(d.status.kind));
    out.number(static_cast<std::int32_t>(d.status.value));
    out.number(static_cast<std::uint32_t>(d.cause));
    out.number(static_cast<std::uint32_t>(d.phase));
    out.number(d.task);
    out.number(static_cast<std::uint32_t>(d.item ? 1 : 0));
    out.number(d.item.value_or(0));
    out.text(d.culprit);
    out.text(d.hint);
    return out.bytes();
  }
  static WorkerLost decode(const std::string& what, std::string_view bytes) {
    TextReader in(bytes);
    WorkerLost::Details d;
    d.worker = in.number<std::uint32_t>();
    d.pid = in.number<std::int32_t>();
    d.status.kind = read_enum(in, ExitStatus::Kind::signaled);
    d.status.value = in.number<std::int32_t>();
    d.cause = read_enum(in, WorkerLost::Cause::abandoned);
    d.phase = read_enum(in, WorkerLost::Phase::unknown);
    d.task = in.number<std::uint64_t>();
    const bool has_item = in.number<std::uint32_t>() != 0;
    const auto item = in.number<std::uint64_t>();
    if (has_item) d.item = item;
    d.culprit = in.text();
    d.hint = in.text();
    in.end();
    return WorkerLost(what, std::move(d));
  }
};

template <class T, class Codec = ExceptionCodec<T>>
constexpr const ExceptionKind* kind = &detail::exception_kind<T, Codec>;

constexpr const ExceptionKind* kinds[] = {
    kind<std::exception>,
    kind<std::logic_error>,
    kind<std::invalid_argument>,
    kind<std::domain_error>,
    kind<std::length_error>,
    kind<std::out_of_range>,
    kind<std::future_error, FutureErrorCodec>,
    kind<std::runtime_error>,
    kind<std::range_error>,
    kind<std::overflow_error>,
    kind<std::underflow_error>,
    kind<std::regex_error, RegexErrorCodec>,
    kind<std::system_error, SystemErrorCodec<std::system_error>>,
    kind<std::ios_base::failure, SystemErrorCodec<std::ios_base::failure>>,
    kind<std::filesystem::filesystem_error, FilesystemErrorCodec>,
    kind<std::bad_alloc>,
    kind<std::bad_array_new_length>,
    kind<std::bad_cast>,
    kind<std::bad_any_cast>,
    kind<std::bad_typeid>,
    kind<std::bad_exception>,
    kind<std::bad_optional_access>,
    kind<std::bad_variant_access>,
    kind<std::bad_function_call>,
    kind<std::bad_weak_ptr>,
#ifdef __cpp_lib_format
    kind<std::format_error>,
#endif
    kind<WorkerLost, WorkerLostCodec>,
    kind<TaskTimeout>,
    kind<Cancelled>,
    kind<PoolTerminated, PoolTerminatedCodec>,
    kind<PoolClosed>,
    kind<EncodingError>,
    kind<ResourceError, ResourceErrorCodec>,
    kind<StartError>,
    kind<WaitTimeout>,
    kind<NotReady>,
};

}  // namespace

std::span<const ExceptionKind* const> standard_kinds() noexcept { return kinds; }

}  // namespace pinion::pool
