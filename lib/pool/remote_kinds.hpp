// Which types of exception pinion knows.
#pragma once

#include <pinion/detail/exception_kind.hpp>

#include <span>
#include <string_view>
#include <typeinfo>
#include <vector>

namespace pinion::pool {

using detail::ExceptionKind;

/// Those of the standard library and pinion's own.
[[nodiscard]] std::span<const ExceptionKind* const> standard_kinds() noexcept;

/// A known kind, and whether it is one of `standard_kinds()`.
struct FoundKind {
  const ExceptionKind* kind = nullptr;
  bool standard = false;
};

/// In the worker: by the type itself. Takes no lock, so that it works in a forked child.
[[nodiscard]] FoundKind find_kind(const std::type_info& type) noexcept;

/// In the manager: by the mangled name, which may be anything. Null also where several registered
/// types have the name. Takes no lock.
[[nodiscard]] const ExceptionKind* find_kind(std::string_view name) noexcept;

/// `type` and all its bases, nearest first, then in the order of their declaration.
[[nodiscard]] std::vector<const std::type_info*> with_bases(const std::type_info& type);

}  // namespace pinion::pool
