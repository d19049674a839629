// The child's side of a spawn, between clone and exec.
#pragma once

#include "lib/loop/child_image.hpp"

namespace pinion::loop {

/// Shared by parent and child, which run in one address space, one after the other.
struct ChildCall {
  const ChildImage& image;
  // Written by the child only:
  ChildStep failed = ChildStep::none;
  int error = 0;
};

/// The function for clone: executes the program, or sets `failed` and `error` and ends.
/// It runs on a stack of its own in the parent's memory, with the parent's thread-local storage,
/// while the parent's thread is stopped and all signals are blocked: it may only make system
/// calls and touch what `call` refers to.
int child_entry(void* call) noexcept;

}  // namespace pinion::loop
