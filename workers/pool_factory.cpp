// Makes pools: the one place that knows both the manager's side and the workers'.

#include <pinion/detail/pool_core.hpp>
#include <pinion/errors.hpp>

#include "lib/pool/core.hpp"
#include "lib/start/method.hpp"
#include "workers/worker.hpp"
#include "workers/worker_main.hpp"

namespace pinion::detail {

void make_pool(PoolOptions options, PoolCore*& core) {
  if (workers::Worker::current() != nullptr) {
    throw StartError(
        "a pool cannot be made in a worker: it is bound to its core, and its own pool's other "
        "workers need theirs; make all pools in the main program");
  }
  options.start_method = start::choose_method(options.start_method);
  pool::Core::make(std::move(options), &workers::worker_main, core);
}

}  // namespace pinion::detail
