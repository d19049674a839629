// Memory for coroutine frames: per-thread free lists by size class.
//
// A frame is freed into the list of the thread that frees it, which need not be the one that made
// it. The lists need no constructor and no guard variable, so that the fast path is one
// thread-local access and a handful of instructions; what a thread keeps is given back when it
// ends.
#pragma once

#include <cstddef>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define PINION_FRAMES_FROM_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PINION_FRAMES_FROM_HEAP 1
#endif
#endif

namespace pinion::detail {

class FramePool {
 public:
  static void* allocate(std::size_t bytes) {
    const std::size_t size_class = class_of(bytes);
    if (!keeps_frames || size_class >= classes) return ::operator new(bytes);
    List& list = lists_[size_class];
    if (list.head == nullptr) return ::operator new((size_class + 1) * class_bytes);
    Free* const frame = list.head;
    list.head = frame->next;
    --list.length;
    return frame;
  }

  static void deallocate(void* memory, std::size_t bytes) noexcept {
    const std::size_t size_class = class_of(bytes);
    if (!keeps_frames || size_class >= classes) return ::operator delete(memory);
    List& list = lists_[size_class];
    // The bound is per class: a burst of 10,000 coroutines must not be kept for ever.
    if (list.length >= kept_bytes_max / ((size_class + 1) * class_bytes) || !watch_thread_end())
      return ::operator delete(memory);
    list.head = ::new (memory) Free{list.head};
    ++list.length;
  }

 private:
  struct Free {
    Free* next;
  };
  struct List {
    Free* head;
    std::size_t length;
  };

#ifdef PINION_FRAMES_FROM_HEAP
  static constexpr bool keeps_frames = false;  // so that a use after the end is seen
#else
  static constexpr bool keeps_frames = true;
#endif
  static constexpr std::size_t class_bytes = 64;
  static constexpr std::size_t classes = 32;  // larger frames than 2 KiB come from the heap
  static constexpr std::size_t kept_bytes_max = 256 * 1024;

  static constexpr std::size_t class_of(std::size_t bytes) noexcept {
    return (bytes - 1) / class_bytes;
  }

  /// Gives the thread's lists back when it ends; frames freed after that go to the heap.
  struct Keeper {
    Keeper() noexcept { phase_ = Phase::open; }
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;
    ~Keeper() {
      phase_ = Phase::closed;
      for (List& list : lists_) {
        while (list.head != nullptr) {
          Free* const frame = list.head;
          list.head = frame->next;
          ::operator delete(frame);
        }
        list.length = 0;
      }
    }
  };
  enum class Phase : unsigned char { fresh, open, closed };

  static bool watch_thread_end() noexcept {
    if (phase_ == Phase::open) [[likely]]
      return true;
    if (phase_ == Phase::closed) return false;
    static thread_local Keeper keeper;
    return phase_ == Phase::open;
  }

  static inline constinit thread_local List lists_[classes] = {};
  static inline constinit thread_local Phase phase_ = Phase::fresh;
};

/// The base of promises whose frames come from the pool.
struct PooledFrame {
  static void* operator new(std::size_t bytes) { return FramePool::allocate(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    FramePool::deallocate(memory, bytes);
  }
};

}  // namespace pinion::detail

#undef PINION_FRAMES_FROM_HEAP
