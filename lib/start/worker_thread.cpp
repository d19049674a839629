#include "lib/start/worker_thread.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "lib/os/clock.hpp"
#include "lib/os/error.hpp"

namespace pinion::start {

std::shared_ptr<WorkerThread> WorkerThread::start(LocalMain main, const Birth& birth,
                                                  const BirthFds& fds, const sigset_t& signals) {
  const std::shared_ptr<WorkerThread> worker(new WorkerThread(main, birth, fds));
  auto owner = std::make_unique<std::shared_ptr<WorkerThread>>(worker);
  // The service thread, which makes it, takes no signals; tasks have the mask of the pool's maker.
  sigset_t before;
  ::pthread_sigmask(SIG_SETMASK, &signals, &before);
  const int error = ::pthread_create(
      &worker->thread_, nullptr,
      [](void* argument) -> void* {
        const std::unique_ptr<std::shared_ptr<WorkerThread>> self(
            static_cast<std::shared_ptr<WorkerThread>*>(argument));
        (*self)->run();
        return nullptr;
      },
      owner.get());
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) os::throw_errno(error, "starting a worker thread");
  static_cast<void>(owner.release());
  worker->joinable_ = true;
  return worker;
}

void WorkerThread::run() {
  // A task that calls pthread_exit unwinds through here.
  struct End {
    WorkerThread& thread;
    ~End() {
      thread.ended_.store(true, std::memory_order_release);
      thread.tell_end();
    }
  } const end{*this};
  id_.store(static_cast<pid_t>(::syscall(SYS_gettid)), std::memory_order_release);
  ::pthread_setname_np(::pthread_self(), ("pinion-" + std::to_string(birth_.worker)).c_str());
  code_ = main_(birth_, home_);
}

std::optional<ExitStatus> WorkerThread::reap() noexcept {
  if (!ended()) return std::nullopt;
  if (joinable_) {
    const std::int64_t until_ns = os::deadline_ns(1'000'000'000);
    int error = ::pthread_tryjoin_np(thread_, nullptr);
    while (error == EBUSY && os::now_ns() < until_ns) {
      ::poll(nullptr, 0, 1);
      error = ::pthread_tryjoin_np(thread_, nullptr);
    }
    if (error != 0) let_go();
    joinable_ = false;
  }
  return ExitStatus::exited(code_);
}

void WorkerThread::let_go() noexcept {
  if (std::exchange(joinable_, false)) ::pthread_detach(thread_);
}

Newborn ThreadMaker::make(Birth birth, const BirthFds& fds, std::int64_t) {
  Newborn born;
  born.local = WorkerThread::start(main_, birth, fds, signals_);
  born.pid = birth.manager;
  born.pidfd = born.local->take_end_descriptor();
  return born;
}

}  // namespace pinion::start
