#include "workers/worker_guest.hpp"

#include <optional>

#include "workers/channel.hpp"
#include "workers/serving.hpp"
#include "workers/worker.hpp"

namespace pinion::workers {

namespace {

class WorkerGuest final : public start::Guest {
 public:
  WorkerGuest(const start::Birth& birth, start::LocalHome& home)
      : birth_(birth), channel_(birth, home) {}

  Outcome run() override {
    if (!begun_) {
      begun_ = true;
      return begin(birth_, channel_, worker_) ? Outcome::worked : Outcome::over;
    }
    const Worker::Here here(*worker_);
    const bool worked = worker_->run_what_is_there();
    if (worker_->over()) {
      if (!worker_->abandoned()) worker_->finalize();
      return Outcome::over;
    }
    return worked ? Outcome::worked : Outcome::nothing;
  }

 private:
  const start::Birth& birth_;
  Channel channel_;
  std::optional<Worker> worker_;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<start::Guest> make_guest(const start::Birth& birth, start::LocalHome& home) {
  return std::make_unique<WorkerGuest>(birth, home);
}

}  // namespace pinion::workers
