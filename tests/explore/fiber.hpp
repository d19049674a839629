// A thread of the explorer: a stack of its own, and no other concurrency than being switched to.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace explore {

class Fiber {
 public:
  Fiber() = default;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// From now on it is at the begin of `body(argument)`, which must not return. Whatever lay on its
  /// stack is forgotten, not destroyed.
  void restart(void (*body)(unsigned argument), unsigned argument) {
    if (stack_ == nullptr) stack_ = std::make_unique<std::byte[]>(stack_bytes);
    ::getcontext(&context_);
    context_.uc_stack.ss_sp = stack_.get();
    context_.uc_stack.ss_size = stack_bytes;
    context_.uc_link = nullptr;
    ::makecontext(&context_, reinterpret_cast<void (*)()>(body), 1, argument);
  }

  /// Goes on with `to`; returns when somebody switches back.
  void switch_to(Fiber& to) { ::swapcontext(&context_, &to.context_); }

 private:
  static constexpr std::size_t stack_bytes = 128 * 1024;

  ucontext_t context_{};
  std::unique_ptr<std::byte[]> stack_;  // none: the stack of the thread that explores
};

}  // namespace explore
