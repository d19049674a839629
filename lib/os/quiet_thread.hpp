// A thread of the runtime: it handles no signals of the host program.
#pragma once

#include <pthread.h>

#include <csignal>
#include <thread>
#include <utility>

namespace pinion::os {

/// Starts a thread with all signals blocked, so that the host's handlers run on the host's threads.
/// `name` has at most 15 characters. Throws `std::system_error`.
template <class F>
std::thread quiet_thread(const char* name, F f) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  struct Restore {
    const sigset_t& mask;
    ~Restore() { ::pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
  } restore{before};
  std::thread thread(std::move(f));
  ::pthread_setname_np(thread.native_handle(), name);
  return thread;
}

}  // namespace pinion::os
