#include "lib/pool/remote_look.hpp"

#include <pinion/errors.hpp>

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "lib/pool/remote_kinds.hpp"

namespace pinion::pool {
namespace {

std::string demangled(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
  return cut_text(name ? name.get() : type.name(), type_name_bytes_max);
}

std::string_view text_or_empty(const char* text) noexcept {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

// The parts that a thrown object of any class may have besides its text.
template <class Thrown>
void look_at_parts(const Thrown& thrown, ExceptionLook& look) {
  if (const auto* nested = dynamic_cast<const std::nested_exception*>(&thrown)) {
    look.inner = nested->nested_ptr();
  }
  if (const auto* remote = dynamic_cast<const RemoteError*>(&thrown)) {
    look.level.type_name = cut_text(remote->type_name(), type_name_bytes_max);
    look.backtrace = cut_text(remote->backtrace(), backtrace_bytes_max);
  }
}

// Text, nested exception and backtrace. Returns the type that was thrown; null for another
// language.
const std::type_info* look_inside(const std::exception_ptr& error, std::size_t what_bytes_max,
                                  ExceptionLook& look) {
  const auto say = [&](std::string_view text) { look.level.what = cut_text(text, what_bytes_max); };
  const auto look_at_object = [&](const auto& thrown) {
    say(text_or_empty(thrown.what()));
    look_at_parts(thrown, look);
    return abi::__cxa_current_exception_type();
  };
  try {
    std::rethrow_exception(error);
  } catch (
      const std::runtime_error& e) {  // also of a class that has std::exception as a base twice
    return look_at_object(e);
  } catch (const std::logic_error& e) {
    return look_at_object(e);
  } catch (const std::exception& e) {
    return look_at_object(e);
  } catch (const Error& e) {
    return look_at_object(e);
  } catch (const std::nested_exception& e) {
    look_at_parts(e, look);
    return abi::__cxa_current_exception_type();
  } catch (const char* text) {
    say(text_or_empty(text));
    return &typeid(const char*);
  } catch (const std::string& text) {
    say(text);
    return &typeid(std::string);
  } catch (int number) {
    say("an exception of type int: " + std::to_string(number));
    return &typeid(int);
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {
    return abi::__cxa_current_exception_type();
  }
}

// False when the codec refuses: then the error is told as one of its bases.
bool captured(const ExceptionKind& kind, const std::exception_ptr& error, std::size_t bytes_max,
              RemoteForm& form) {
  form.name = kind.type->name();
  if (form.name.size() > type_name_bytes_max) return false;
  try {
    return kind.capture(error, form.bytes) && form.bytes.size() <= bytes_max;
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {
    return false;
  }
}

// The nearest known type, and the nearest standard one in case the manager cannot make the first.
std::vector<RemoteForm> forms_of(const std::vector<const std::type_info*>& types,
                                 const std::exception_ptr& error, std::size_t bytes_max) {
  std::vector<RemoteForm> forms;
  for (const std::type_info* type : types) {
    const FoundKind found = find_kind(*type);
    if (found.kind == nullptr || (!found.standard && !forms.empty())) continue;
    RemoteForm form;
    if (!captured(*found.kind, error, bytes_max, form)) continue;
    forms.push_back(std::move(form));
    if (found.standard) break;
  }
  return forms;
}

// `std::throw_with_nested(T)` throws a class of the library that derives from T.
bool is_nested_wrapper(const std::type_info& type) {
  return std::string_view(type.name()).starts_with("St17_Nested_exceptionI");
}

}  // namespace

ExceptionLook look_at(const std::exception_ptr& error, LevelLimits limits) {
  ExceptionLook look;
  const std::type_info* type = error ? look_inside(error, limits.what_bytes_max, look) : nullptr;
  if (type == nullptr) {
    look.level.type_name = "unknown";
    look.level.what = "an exception of another language";
    return look;
  }
  const std::vector<const std::type_info*> types = with_bases(*type);
  if (look.level.type_name.empty()) {
    const bool wrapped = is_nested_wrapper(*type) && types.size() > 1;
    look.level.type_name = demangled(wrapped ? *types[1] : *type);
  }
  look.level.forms = forms_of(types, error, limits.form_bytes_max);
  if (look.level.what.empty() && look.level.forms.empty()) {
    look.level.what = "an exception of type " + look.level.type_name;
  }
  return look;
}

}  // namespace pinion::pool
