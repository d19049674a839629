// The ways in which a process can end, each for real: a fault, a call, a signal.
#pragma once

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include <pinion/errors.hpp>

#include <array>
#include <csignal>
#include <cstdlib>
#include <exception>

namespace checks {

enum class Way : int {
  kill,
  segmentation_fault,
  bus_error,
  division_by_zero,
  illegal_instruction,
  abort,
  exit_at_once_0,
  exit_at_once_3,
  exit_0,
  exit_5,
  quick_exit_6,
  terminate,
  thread_exit,
  stack_overflow,
};
inline constexpr std::array ways{Way::kill,           Way::segmentation_fault,
                                 Way::bus_error,      Way::division_by_zero,
                                 Way::abort,          Way::illegal_instruction,
                                 Way::exit_0,         Way::exit_at_once_0,
                                 Way::exit_at_once_3, Way::exit_5,
                                 Way::terminate,      Way::quick_exit_6,
                                 Way::thread_exit,    Way::stack_overflow};

inline const char* name_of(Way way) {
  switch (way) {
    case Way::kill:
      return "SIGKILL";
    case Way::segmentation_fault:
      return "segmentation fault";
    case Way::bus_error:
      return "bus error";
    case Way::division_by_zero:
      return "division by zero";
    case Way::illegal_instruction:
      return "illegal instruction";
    case Way::abort:
      return "abort()";
    case Way::exit_at_once_0:
      return "_exit(0)";
    case Way::exit_at_once_3:
      return "_exit(3)";
    case Way::exit_0:
      return "exit(0)";
    case Way::exit_5:
      return "exit(5)";
    case Way::quick_exit_6:
      return "quick_exit(6)";
    case Way::terminate:
      return "std::terminate()";
    case Way::thread_exit:
      return "pthread_exit()";
    case Way::stack_overflow:
      return "stack overflow";
  }
  return "?";
}

inline pinion::ExitStatus status_of(Way way) {
  using pinion::ExitStatus;
  switch (way) {
    case Way::kill:
      return ExitStatus::signaled(SIGKILL);
    case Way::segmentation_fault:
    case Way::stack_overflow:
      return ExitStatus::signaled(SIGSEGV);
    case Way::bus_error:
      return ExitStatus::signaled(SIGBUS);
    case Way::division_by_zero:
      return ExitStatus::signaled(SIGFPE);
    case Way::illegal_instruction:
      return ExitStatus::signaled(SIGILL);
    case Way::abort:
    case Way::terminate:
    case Way::thread_exit:  // the unwinding that it begins may not leave the worker's main function
      return ExitStatus::signaled(SIGABRT);
    case Way::exit_0:
    case Way::exit_at_once_0:
      return ExitStatus::exited(0);
    case Way::exit_at_once_3:
      return ExitStatus::exited(3);
    case Way::exit_5:
      return ExitStatus::exited(5);
    case Way::quick_exit_6:
      return ExitStatus::exited(6);
  }
  return {};
}

namespace ways_detail {

inline void touch_forbidden_page() {
  void* const page = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *static_cast<volatile char*>(page) = 1;
}

/// A page of a file that has no such page any more.
inline void touch_beyond_file() {
  const int fd = ::memfd_create("shrunk", MFD_CLOEXEC);
  if (::ftruncate(fd, 65536) != 0) return;
  void* const page = ::mmap(nullptr, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (::ftruncate(fd, 0) != 0) return;
  *static_cast<volatile char*>(page) = 1;
}

inline void divide_by_zero() {
#if defined(__x86_64__)
  asm volatile("xor %%edx, %%edx; xor %%ecx, %%ecx; mov $1, %%eax; idivl %%ecx"
               :
               :
               : "eax", "ecx", "edx", "cc");
#else
  ::raise(SIGFPE);  // elsewhere a division by zero is just zero
#endif
}

inline void run_illegal_instruction() {
#if defined(__x86_64__)
  asm volatile("ud2");
#elif defined(__aarch64__)
  asm volatile(".inst 0x00000000");
#else
  ::raise(SIGILL);
#endif
}

inline int deeper(volatile char* above) {
  volatile char here[4096];
  here[0] = *above;
  return above == nullptr ? 0 : deeper(here) + here[0];
}

}  // namespace ways_detail

/// Ends this process. Returns only if that has failed.
inline void die(Way way) {
  volatile char here = 0;
  switch (way) {
    case Way::kill:
      ::raise(SIGKILL);
      return;
    case Way::segmentation_fault:
      return ways_detail::touch_forbidden_page();
    case Way::bus_error:
      return ways_detail::touch_beyond_file();
    case Way::division_by_zero:
      return ways_detail::divide_by_zero();
    case Way::illegal_instruction:
      return ways_detail::run_illegal_instruction();
    case Way::abort:
      std::abort();
    case Way::exit_at_once_0:
      ::_exit(0);
    case Way::exit_at_once_3:
      ::_exit(3);
    case Way::exit_0:
      std::exit(0);
    case Way::exit_5:
      std::exit(5);
    case Way::quick_exit_6:
      std::quick_exit(6);
    case Way::terminate:
      std::terminate();
    case Way::thread_exit:
      ::pthread_exit(nullptr);
    case Way::stack_overflow:
      ways_detail::deeper(&here);
      return;
  }
}

}  // namespace checks
