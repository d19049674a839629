// A pool whose workers are threads.
#pragma once

#include <pinion/pool.hpp>

#include <stdexcept>
#include <utility>

namespace pinion {

/// A `Pool` with the start method `thread`, and the same members.
///
/// Its tasks share the program's memory: nothing protects the program from a task that crashes, and
/// nothing can end one that hangs. A task whose time has passed ends with `TaskTimeout`; its thread
/// is left behind until it ends by itself, replaced, and counted in `PoolStats::abandoned`. What a
/// task throws is rethrown as the object that it is. Arguments and results are encoded as for
/// processes, so that one program can use both.
class ThreadPool : public Pool {
 public:
  /// As `Pool`; throws `std::invalid_argument` where `start_method` says something else.
  explicit ThreadPool(PoolOptions options = {}) : Pool(with_threads(std::move(options))) {}
  explicit ThreadPool(unsigned processes) : ThreadPool(PoolOptions{.processes = processes}) {}

 private:
  static PoolOptions with_threads(PoolOptions options) {
    if (options.start_method != StartMethod::automatic &&
        options.start_method != StartMethod::thread) {
      throw std::invalid_argument(
          "PoolOptions::start_method: the workers of a ThreadPool are threads");
    }
    options.start_method = StartMethod::thread;
    return options;
  }
};

}  // namespace pinion
