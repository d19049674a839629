// A program of its own: how many heap allocations one small task costs under load, in the manager
// and in the worker. It defines malloc itself, for all that is linked to it; workers are forked
// from it, so they count too. Prints the two numbers.
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <iostream>

#include "perf/harness/one_worker.hpp"

namespace {

constinit std::atomic<std::uint64_t> allocations{0};

void count() { allocations.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

// glibc's own allocator under its internal names, which it keeps exported for this.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t number, std::size_t size);
void* __libc_realloc(void* at, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept {
  count();
  return __libc_malloc(size);
}
void* calloc(std::size_t number, std::size_t size) noexcept {
  count();
  return __libc_calloc(number, size);
}
void* realloc(void* at, std::size_t size) noexcept {
  count();
  return __libc_realloc(at, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  count();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** at, std::size_t alignment, std::size_t size) noexcept {
  count();
  *at = __libc_memalign(alignment, size);
  return *at == nullptr ? ENOMEM : 0;
}
}

namespace pinion::perf {
namespace {

std::uint64_t counted() { return allocations.load(std::memory_order_relaxed); }

int run() {
  Pool pool(one_worker());
  const Pinned pinned(two_cpus().first);
  constexpr auto in_worker = [] { return counted(); };
  run_windowed(pool, sizes::async_tasks);  // what grows once has grown
  const std::uint64_t worker_before = pool.apply(in_worker);
  const std::uint64_t manager_before = counted();
  run_windowed(pool, sizes::async_tasks);
  // One for the vector of handles in this file.
  const std::uint64_t manager = counted() - manager_before - 1;
  const std::uint64_t worker = pool.apply(in_worker) - worker_before;
  const auto each = [](std::uint64_t n) {
    return static_cast<double>(n) / static_cast<double>(sizes::async_tasks);
  };
  std::cout << each(manager) << ' ' << each(worker) << '\n';
  return worker_before == 0 ? 1 : 0;  // nothing counted at all: the hooks are not in place
}

}  // namespace
}  // namespace pinion::perf

int main() { return pinion::perf::run(); }
