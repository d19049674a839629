#include "tests/unit/count_allocations.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

thread_local std::uint64_t count = 0;

void* allocate(std::size_t bytes, std::size_t align) {
  ++count;
  void* memory = nullptr;
  if (::posix_memalign(&memory, align < sizeof(void*) ? sizeof(void*) : align,
                       bytes == 0 ? 1 : bytes) != 0)
    throw std::bad_alloc();
  return memory;
}

}  // namespace

std::uint64_t pinion::tests::allocations() noexcept { return count; }

// The array forms call these.
void* operator new(std::size_t bytes) { return allocate(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
void* operator new(std::size_t bytes, std::align_val_t align) {
  return allocate(bytes, static_cast<std::size_t>(align));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
