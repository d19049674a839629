// What a suspended coroutine waits for: the state of one await, inside the coroutine's own frame.
//
// Nothing is allocated for an await. An operation is in at most one list at a time: that of its
// scope while it is pending, the loop's ready queue once it has ended.
#pragma once

#include <pinion/detail/api.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pinion::loop {
class Loop;
}  // namespace pinion::loop

namespace pinion::detail {

/// One element of an intrusive list; it leaves its list when it is destroyed.
struct Link {
  Link() noexcept = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() { unlink(); }

  [[nodiscard]] bool linked() const noexcept { return next != this; }
  void unlink() noexcept {
    previous->next = next;
    next->previous = previous;
    previous = next = this;
  }
  /// Puts `link`, which is in no list, before this one.
  void insert_before(Link& link) noexcept {
    link.previous = previous;
    link.next = this;
    previous->next = &link;
    previous = &link;
  }

  Link* previous = this;
  Link* next = this;
};

/// An intrusive first-in first-out list.
class LinkList {
 public:
  [[nodiscard]] bool empty() const noexcept { return !head_.linked(); }
  [[nodiscard]] Link& front() const noexcept { return *head_.next; }
  void push_back(Link& link) noexcept { head_.insert_before(link); }
  /// Of a link that is in this list.
  [[nodiscard]] bool is_last(const Link& link) const noexcept { return link.next == &head_; }
  /// Takes all of `other`, whose order stays. This list must be empty.
  void take(LinkList& other) noexcept {
    if (other.empty()) return;
    other.head_.insert_before(head_);
    other.head_.unlink();
  }

 private:
  Link head_;
};

struct Scope;

/// A coroutine that can be resumed, on behalf of the scope that it belongs to.
struct Resumable : Link {
  enum class State : std::uint8_t {
    idle,     ///< nobody refers to it
    pending,  ///< the backend, the kernel or the timers refer to it
    ready,    ///< ended; in the ready queue
    dropped,  ///< ended, and the loop is gone: never resumed
  };

  std::coroutine_handle<> coroutine;
  Scope* scope = nullptr;
  State state = State::idle;
};

enum class OperationKind : std::uint8_t {
  yield,
  sleep,
  deadline,  ///< no coroutine: cancels a scope
  wait,      ///< for another coroutine
  // From here on: the backend's.
  read,
  write,
  poll,
  recv,
  send,
  accept,
  connect,
  openat,
  fsync,
  statx,
  close,
};

struct Operation : Resumable {
  /// An offset that means "at the file's position".
  static constexpr std::uint64_t no_offset = ~std::uint64_t{0};

  explicit Operation(OperationKind k) noexcept : kind(k) {}
  /// Waits until the kernel has let go of the buffer, should the coroutine be destroyed meanwhile.
  ~Operation() {
    if (state != State::idle) abandon();
  }

  OperationKind kind;
  bool cancelling = false;  ///< the backend was asked to give it up
  short events = 0;         ///< of a poll: what is waited for
  int fd = -1;
  std::int64_t result = 0;  ///< what the system call returns, or minus an errno
  loop::Loop* loop = nullptr;
  /// Bytes to transfer; a path; a socket's address. Of a read, recv or accept: written to all the
  /// same. Of a deadline: the scope.
  const void* buffer = nullptr;
  std::size_t length = 0;  ///< of `buffer`; of an openat: the mode; of a statx: the mask
  std::uint64_t offset = no_offset;
  std::int64_t deadline_ns = 0;  ///< of a sleep: its length until it begins, then when it ends
  union {
    std::uint64_t sequence = 0;  ///< of a sleep: the order among equal deadlines
    void* second;  ///< what else is written to: an accept's length, the answer of a statx;
                   ///< of a wait: its link in a queue, which it leaves when it is cancelled
  };
  std::size_t heap_index = 0;     ///< of a sleep: where it is in the timers
  Operation* next = nullptr;      ///< for the backend
  std::int32_t backend_word = 0;  ///< for the backend
  std::int32_t flags = 0;         ///< of the system call

  /// Finds the running loop and makes its backend where that is needed. Throws `std::logic_error`
  /// outside any loop, `Cancelled` where the scope was stopped, `std::system_error` where the
  /// backend that was asked for by name cannot be had.
  PINION_API void prepare();
  /// Begins. The coroutine is resumed by the loop, never from here.
  PINION_API void begin(std::coroutine_handle<> waiter) noexcept;
  /// Whether a backend does it.
  [[nodiscard]] bool is_io() const noexcept { return kind >= OperationKind::read; }
  /// Ends a wait. The coroutine is resumed by the loop, never from here.
  PINION_API void complete(std::int64_t value) noexcept;
  /// Nobody will take the result: a new descriptor is closed; and a close is done in any case.
  void discard() noexcept;
  /// The result, or the error: `Cancelled`, or `std::system_error` with `what` in its text.
  std::int64_t finish(std::string_view what) {
    if (result < 0) [[unlikely]]
      fail(what);
    return result;
  }

 private:
  PINION_API void abandon() noexcept;
  [[noreturn]] PINION_API void fail(std::string_view what) const;
};

/// Throws the error of an input that ended too early.
[[noreturn]] PINION_API void fail_early_end(int fd, std::size_t done, std::size_t wanted);
/// Throws the error of a descriptor that takes nothing and says no reason.
[[noreturn]] PINION_API void fail_refused_bytes(int fd, std::size_t left);

/// Throws what `Operation::prepare` throws, for what needs the loop but no backend.
PINION_API void require_running_loop();

}  // namespace pinion::detail
