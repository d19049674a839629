// A worker inside this process: a thread, or whoever calls the pool. What it lives on, and how it
// ends.
//
// It owns what it uses, or shares it: it cannot be killed, so one that does not end when it is told
// to is left behind, and may go on after the pool is gone.
#pragma once

#include <sys/types.h>
#include <pinion/errors.hpp>

#include <optional>
#include <utility>

#include "lib/os/fd.hpp"
#include "lib/start/birth.hpp"
#include "lib/start/original_errors.hpp"

namespace pinion::start {

/// Called by: the service thread, but for what says otherwise.
class LocalWorker {
 public:
  LocalWorker(const LocalWorker&) = delete;
  LocalWorker& operator=(const LocalWorker&) = delete;
  virtual ~LocalWorker() = default;

  /// Readable once it has ended. To be taken once.
  [[nodiscard]] os::Fd take_end_descriptor() noexcept { return std::move(end_for_manager_); }
  /// Nothing more starts in it: the manager's line says so. Any thread, with the pool's lock held.
  virtual void told_to_end() noexcept {}
  [[nodiscard]] virtual bool ended() const noexcept = 0;
  /// Takes it down if it has ended; empty while it runs.
  virtual std::optional<ExitStatus> reap() noexcept = 0;
  /// Nobody will reap it.
  virtual void let_go() noexcept {}
  /// As the kernel counts threads; 0 where it has none of its own.
  [[nodiscard]] virtual pid_t id() const noexcept { return 0; }
  /// Where it has none: the calling thread runs what there is to run. False if there was nothing,
  /// or another thread does.
  virtual bool run_here() { return false; }
  [[nodiscard]] OriginalErrors& errors() noexcept { return home_.errors; }

 protected:
  /// `fds.memory` leads to its memory. Throws `std::system_error`.
  LocalWorker(const Birth& birth, const BirthFds& fds);
  /// Called when nothing of it runs any more, last.
  void tell_end() const noexcept;

  const Birth birth_;
  LocalHome home_;

 private:
  // Its own: a late write must not reach a number that was given to another.
  os::Fd manager_eventfd_;
  os::Fd manager_bell_;
  os::Fd own_bell_;
  os::Fd end_;
  os::Fd end_for_manager_;
};

}  // namespace pinion::start
