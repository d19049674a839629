#include "lib/pool/remote_kinds.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <atomic>
#include <new>

namespace pinion {
namespace {

// One registered kind. Entries are never freed, only emptied and used again: so readers need no
// lock, which a fork in another thread could leave taken for ever in the child.
struct Entry {
  std::atomic<const detail::ExceptionKind*> kind;
  Entry* next;  // constant once published
};

// EDGE exceptions: an entry is published by the compare-exchange (release) in `publish`, and a kind
// by the stores of `kind` (release); readers load both with acquire in `for_each_registered`.
constinit std::atomic<Entry*> registered{nullptr};

Entry* publish(const detail::ExceptionKind* kind) noexcept {
  for (Entry* e = registered.load(std::memory_order_acquire); e != nullptr; e = e->next) {
    const detail::ExceptionKind* empty = nullptr;
    if (e->kind.compare_exchange_strong(empty, kind, std::memory_order_acq_rel)) return e;
  }
  Entry* entry = new (std::nothrow) Entry{kind, registered.load(std::memory_order_relaxed)};
  if (entry == nullptr) return nullptr;
  while (!registered.compare_exchange_weak(entry->next, entry, std::memory_order_release,
                                           std::memory_order_relaxed)) {
  }
  return entry;
}

template <class Visit>
void for_each_registered(Visit visit) noexcept {
  for (Entry* e = registered.load(std::memory_order_acquire); e != nullptr; e = e->next) {
    if (const auto* kind = e->kind.load(std::memory_order_acquire)) visit(kind);
  }
}

}  // namespace

namespace detail {

ExceptionRegistration::ExceptionRegistration(const ExceptionKind* kind) noexcept
    : entry_(kind == nullptr ? nullptr : publish(kind)) {}

ExceptionRegistration::~ExceptionRegistration() {
  if (entry_ == nullptr) return;
  static_cast<Entry*>(entry_)->kind.store(nullptr, std::memory_order_release);
}

std::nested_exception nested_around(const std::exception_ptr& inner) {
  try {
    std::rethrow_exception(inner);
  } catch (...) {  // `inner` was made by restore: never a forced unwind
    return std::nested_exception();
  }
}

}  // namespace detail

namespace pool {

FoundKind find_kind(const std::type_info& type) noexcept {
  for (const ExceptionKind* kind : standard_kinds()) {
    if (*kind->type == type) return {kind, true};
  }
  FoundKind found;
  for_each_registered([&](const ExceptionKind* kind) {
    if (*kind->type == type) found.kind = kind;
  });
  return found;
}

const ExceptionKind* find_kind(std::string_view name) noexcept {
  for (const ExceptionKind* kind : standard_kinds()) {
    if (kind->type->name() == name) return kind;
  }
  const ExceptionKind* found = nullptr;
  bool several = false;
  for_each_registered([&](const ExceptionKind* kind) {
    if (kind->type->name() != name) return;
    if (found != nullptr && *found->type != *kind->type) several = true;
    found = kind;
  });
  return several ? nullptr : found;
}

std::vector<const std::type_info*> with_bases(const std::type_info& type) {
  std::vector<const std::type_info*> types{&type};
  const auto add = [&](const std::type_info* base) {
    const auto same = [&](const std::type_info* t) { return *t == *base; };
    if (std::none_of(types.begin(), types.end(), same)) types.push_back(base);
  };
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (const auto* one = dynamic_cast<const abi::__si_class_type_info*>(types[i])) {
      add(one->__base_type);
    } else if (const auto* many = dynamic_cast<const abi::__vmi_class_type_info*>(types[i])) {
      for (unsigned b = 0; b < many->__base_count; ++b) add(many->__base_info[b].__base_type);
    }
  }
  return types;
}

}  // namespace pool
}  // namespace pinion
