#include <pthread.h>
#include <pinion/detail/calling_stack.hpp>

#include <cstddef>

namespace pinion::detail {
namespace {

// For the main thread this reads /proc/self/maps, so it is done once a thread.
StackBounds ask_for_stack() noexcept {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return {};
  void* low = nullptr;
  std::size_t size = 0;
  StackBounds bounds;
  if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
    bounds.low = reinterpret_cast<std::uintptr_t>(low);
    bounds.high = bounds.low + size;
  }
  pthread_attr_destroy(&attributes);
  return bounds;
}

}  // namespace

const StackBounds& calling_stack() noexcept {
  thread_local const StackBounds bounds = ask_for_stack();
  return bounds;
}

}  // namespace pinion::detail
