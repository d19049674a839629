// Memory that a test shares with the workers of every pool that is made after it: counters and
// flags that outlive a worker's death. Workers find it at the same address, since they are forked.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <stdexcept>

namespace checks {

/// An array of T, all zeros; pages are taken when they are touched. T has no destructor to run.
template <class T>
class SharedArray {
 public:
  explicit SharedArray(std::size_t n) : bytes_(n * sizeof(T)) {
    void* const memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("no memory to share with workers");
    items_ = static_cast<T*>(memory);
  }
  SharedArray(const SharedArray&) = delete;
  SharedArray& operator=(const SharedArray&) = delete;
  ~SharedArray() { ::munmap(items_, bytes_); }

  T& operator[](std::size_t i) const noexcept { return items_[i]; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_ / sizeof(T); }
  /// All zeros again.
  void clear() const noexcept { ::madvise(items_, bytes_, MADV_REMOVE); }

 private:
  std::size_t bytes_;
  T* items_;
};

/// One T, made in place.
template <class T>
class Shared {
 public:
  Shared() { new (&array_[0]) T(); }
  T* operator->() const noexcept { return &array_[0]; }
  T& operator*() const noexcept { return array_[0]; }

 private:
  SharedArray<T> array_{1};
};

}  // namespace checks
