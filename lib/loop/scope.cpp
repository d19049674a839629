#include <pinion/detail/scope.hpp>
#include <pinion/errors.hpp>
#include <pinion/with_timeout.hpp>

#include <cstdio>

#include "lib/loop/loop.hpp"
#include "lib/os/clock.hpp"

namespace pinion::detail {

ChildScope::ChildScope() : loop_(loop::Loop::require_current()) {
  parent = loop_.current_scope();
  if (parent->stop) throw Cancelled();
  parent->children.push_back(*this);
}

ChildScope::~ChildScope() {
  while (!children.empty()) {
    auto& child = static_cast<Scope&>(children.front());
    child.unlink();
    child.parent = parent;
    parent->children.push_back(child);
  }
}

void ChildScope::enter() noexcept { loop_.set_current_scope(*this); }

void ChildScope::leave() noexcept { loop_.set_current_scope(*parent); }

void ChildScope::cancel() noexcept { loop_.cancel(*this); }

ScopeDeadline::ScopeDeadline(ChildScope& scope, Duration length) {
  operation_.loop = &scope.loop();
  operation_.buffer = static_cast<Scope*>(&scope);
  operation_.deadline_ns = os::deadline_ns(length.ns());
  if (operation_.deadline_ns == os::never_ns) return;
  operation_.loop->begin_deadline(operation_);
}

void fail_timeout(Duration limit) {
  char text[80];
  (void)std::snprintf(text, sizeof text, "with_timeout: the task ran longer than its %g s",
                      static_cast<double>(limit.ns()) / 1e9);
  throw TaskTimeout(text);
}

}  // namespace pinion::detail
