// What Process and Worker share: one call in a process of its own.
#pragma once

#include <pinion/detail/api.hpp>
#include <pinion/detail/entry_handle.hpp>
#include <pinion/errors.hpp>
#include <pinion/kinds.hpp>
#include <pinion/placement.hpp>
#include <pinion/remote_call.hpp>
#include <pinion/task.hpp>
#include <pinion/time_limit.hpp>

#include <sys/types.h>

#include <exception>
#include <functional>
#include <memory>
#include <optional>

namespace pinion {

class Pool;

/// Options of a `Process` or a `Worker`.
struct ProcessOptions {
  StartMethod start_method = StartMethod::automatic;  ///< not `thread` or `serial`
  Placement placement = Placement::none();            ///< which CPUs
  RemoteCall initializer{};  ///< `pinion::call(f, args...)`: runs in the process first
  IoBackend io = IoBackend::automatic;
  /// Its end is not waited for: it is killed where this object ends.
  bool daemon = false;
};

namespace detail {

/// Hands the call to a pool.
using ProcessCall = std::function<EntryHandle(Pool&)>;

/// A pool of one worker that is not replaced, which gets one call and then leaves.
class PINION_API ProcessCore {
 public:
  ProcessCore(ProcessCore&&) noexcept;
  ProcessCore& operator=(ProcessCore&&) = delete;
  /// Waits for the process, or kills it: see `Process`.
  ~ProcessCore();

  /// Makes the process, waits until it is ready, and gives it the function. Throws what
  /// `Pool::Pool` throws, `EncodingError`, and `std::logic_error` the second time.
  void start();
  /// Waits until the process has ended. Throws `std::logic_error` before `start`.
  ExitStatus join();
  /// As above, at most `limit`; empty when the time ran out.
  std::optional<ExitStatus> join(Duration limit);
  /// `join` as a task, for `co_await` under `pinion::run`.
  [[nodiscard]] Task<ExitStatus> join_async();

  /// Sends SIGTERM, which ends the process unless the function has arranged for something else;
  /// SIGKILL. No effect once it has ended. Throws `std::logic_error` before `start`.
  void terminate();
  void kill();
  /// Gives back what stands behind it: memory, descriptors, a thread, the result. How it ended stays
  /// known. Throws `std::logic_error` while the process runs. Idempotent.
  void close();

  /// 0 before `start`; the same after its end.
  [[nodiscard]] pid_t pid() const noexcept;
  /// Whether it was started and has not ended.
  [[nodiscard]] bool alive() const;
  /// How it ended; empty before that.
  [[nodiscard]] std::optional<ExitStatus> exit_status() const;
  /// Why it has no value: the exception that left the function, `WorkerLost` where the process was
  /// killed or has left by itself; null where the function has returned, and before the end.
  [[nodiscard]] std::exception_ptr error() const;

 protected:
  ProcessCore(ProcessOptions options, ProcessCall call, int (*exit_code)(const EntryHandle&));

  /// The handle of the call; starts the process if that has not been done.
  EntryHandle started_call();

 private:
  struct State;
  [[nodiscard]] State& require_started() const;
  void signal(int number);

  std::unique_ptr<State> state_;
};

}  // namespace detail
}  // namespace pinion
