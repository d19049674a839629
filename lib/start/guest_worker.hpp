// The start method `serial`: a worker without a thread. Whoever calls the pool runs it.
#pragma once

#include <memory>
#include <mutex>

#include "lib/start/local_worker.hpp"
#include "lib/start/worker_maker.hpp"

namespace pinion::start {

class GuestWorker final : public LocalWorker {
 public:
  GuestWorker(GuestMaker maker, const Birth& birth, const BirthFds& fds)
      : LocalWorker(birth, fds), make_(maker) {}

  void told_to_end() noexcept override;
  [[nodiscard]] bool ended() const noexcept override;
  std::optional<ExitStatus> reap() noexcept override;
  bool run_here() override;

 private:
  enum class State { idle, running, ended };
  class Running;

  const GuestMaker make_;
  std::unique_ptr<Guest> guest_;  // of the thread that runs it
  mutable std::mutex mutex_;      // of what follows
  State state_ = State::idle;
  bool told_ = false;
};

class GuestWorkerMaker final : public WorkerMaker {
 public:
  explicit GuestWorkerMaker(GuestMaker maker) noexcept : make_(maker) {}
  Newborn make(Birth birth, const BirthFds& fds, std::int64_t deadline_ns) override;
  [[nodiscard]] int socket() const noexcept override { return -1; }
  void end() noexcept override {}

 private:
  GuestMaker make_;
};

}  // namespace pinion::start
