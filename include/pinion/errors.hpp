// Every error that pinion throws, and what an error that crossed a process carries.
#pragma once

#include <pinion/detail/api.hpp>

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pinion {

/// What all errors of pinion share.
///
/// It does not derive from `std::exception`, so that a concrete type can derive from a standard
/// exception and from this: handlers for either match. Derive from it virtually.
class PINION_API Error {
 public:
  virtual ~Error() = default;
  /// What happened, to what, and what to do about it. The same text as `std::exception::what()`.
  [[nodiscard]] virtual const char* what() const noexcept = 0;

 protected:
  Error() = default;
  Error(const Error&) = default;
  Error& operator=(const Error&) = default;
};

/// One exception inside another, as `std::throw_with_nested` makes it.
struct NestedError {
  std::string type_name;  ///< demangled
  std::string what;
};

/// What came back with an exception that a task threw in its worker.
struct RemoteReport {
  std::string type_name;            ///< demangled name of the type that was thrown
  std::string what;                 ///< its text
  std::vector<NestedError> nested;  ///< what it was nested around, outermost first
  std::string backtrace;            ///< empty where the platform has none
  unsigned worker = 0;              ///< index of the worker in its pool
  pid_t pid = 0;                    ///< of the worker's process
  std::uint64_t item = 0;           ///< index of the item in its map; 0 for a single task
};

/// An exception that was thrown in a worker.
///
/// The object that is thrown to the caller derives from the task's own type (or its nearest
/// standard base, where the type is not known to pinion; see `PINION_EXCEPTION`) and from this.
/// Copies share the report and do not throw.
class PINION_API RemoteError : public virtual Error {
 public:
  [[nodiscard]] const std::string& type_name() const noexcept { return report_->type_name; }
  [[nodiscard]] const std::vector<NestedError>& nested() const noexcept { return report_->nested; }
  [[nodiscard]] const std::string& backtrace() const noexcept { return report_->backtrace; }
  [[nodiscard]] unsigned worker() const noexcept { return report_->worker; }
  [[nodiscard]] pid_t pid() const noexcept { return report_->pid; }
  [[nodiscard]] std::uint64_t item() const noexcept { return report_->item; }
  [[nodiscard]] const RemoteReport& report() const noexcept { return *report_; }

  /// Everything above as a text of several lines, for a log.
  [[nodiscard]] std::string describe() const;

 protected:
  explicit RemoteError(std::shared_ptr<const RemoteReport> report) noexcept
      : report_(std::move(report)) {}
  RemoteError(const RemoteError&) = default;
  RemoteError& operator=(const RemoteError&) = default;

 private:
  std::shared_ptr<const RemoteReport> report_;  // never null: copies share it, nothing moves it out
};

/// How a process ended. `unknown` when the host program reaped it first.
struct ExitStatus {
  enum class Kind { unknown, exited, signaled };
  Kind kind = Kind::unknown;
  int value = 0;  ///< exit code or signal number

  static constexpr ExitStatus exited(int code) noexcept { return {Kind::exited, code}; }
  static constexpr ExitStatus signaled(int signal) noexcept { return {Kind::signaled, signal}; }
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

/// The worker that had the item is gone, and the item has no result.
class PINION_API WorkerLost : public std::runtime_error, public virtual Error {
 public:
  enum class Cause {
    death,                ///< it died by itself
    protocol_breach,      ///< it wrote nonsense into shared memory and was replaced
    killed_with_culprit,  ///< it was killed for another item that it was running
    abandoned,            ///< it was killed and did not end within 1 s (uninterruptible sleep)
  };
  enum class Phase {
    started,  ///< the item was running
    unknown,  ///< it may have run, in part or whole
  };
  struct Details {
    unsigned worker = 0;
    pid_t pid = 0;
    ExitStatus status{};
    Cause cause = Cause::death;
    Phase phase = Phase::unknown;
    std::uint64_t task = 0;  ///< its number: how many items the pool accepted before it, plus 1
    std::optional<std::uint64_t> item{};  ///< of a map: the item that was lost
    std::string culprit{};  ///< what the worker was killed for, or how it broke protocol
    std::string hint{};     ///< where to look; made here for a SIGKILL that nobody explains
  };

  /// Makes the text from the details.
  explicit WorkerLost(Details details);
  explicit WorkerLost(const std::string& what);
  WorkerLost(const std::string& what, Details details);
  WorkerLost(const WorkerLost&) = default;
  WorkerLost& operator=(const WorkerLost&) = default;

  [[nodiscard]] const char* what() const noexcept override { return std::runtime_error::what(); }
  [[nodiscard]] unsigned worker() const noexcept { return details_->worker; }
  [[nodiscard]] pid_t pid() const noexcept { return details_->pid; }
  [[nodiscard]] ExitStatus status() const noexcept { return details_->status; }
  [[nodiscard]] Cause cause() const noexcept { return details_->cause; }
  [[nodiscard]] Phase phase() const noexcept { return details_->phase; }
  [[nodiscard]] std::uint64_t task() const noexcept { return details_->task; }
  [[nodiscard]] std::optional<std::uint64_t> item() const noexcept { return details_->item; }
  [[nodiscard]] const std::string& hint() const noexcept { return details_->hint; }
  [[nodiscard]] const Details& details() const noexcept { return *details_; }

 private:
  std::shared_ptr<const Details> details_;  // never null: copies share it, and nothing moves it out
};

/// The item ran longer than `TaskOptions::timeout`.
class PINION_API TaskTimeout : public std::runtime_error, public virtual Error {
 public:
  TaskTimeout() : TaskTimeout("the task ran longer than its timeout (TaskOptions::timeout)") {}
  explicit TaskTimeout(const std::string& what) : std::runtime_error(what) {}
  [[nodiscard]] const char* what() const noexcept override { return std::runtime_error::what(); }
};

/// The item was cancelled: by `cancel()`, by `fail_fast`, or with its stream.
class PINION_API Cancelled : public std::runtime_error, public virtual Error {
 public:
  Cancelled() : Cancelled("the task was cancelled") {}
  explicit Cancelled(const std::string& what) : std::runtime_error(what) {}
  [[nodiscard]] const char* what() const noexcept override { return std::runtime_error::what(); }
};

/// The pool was terminated before the item had a result, or the pool failed; then `cause()` says
/// why.
class PINION_API PoolTerminated : public std::runtime_error, public virtual Error {
 public:
  PoolTerminated() : std::runtime_error("the pool was terminated before the task had ended") {}
  explicit PoolTerminated(const std::string& cause)
      : std::runtime_error("the pool was terminated: " + cause),
        cause_(std::make_shared<const std::string>(cause)) {}
  [[nodiscard]] const char* what() const noexcept override { return std::runtime_error::what(); }
  /// Why the pool failed; empty after a `terminate()`.
  [[nodiscard]] std::string_view cause() const noexcept {
    return cause_ ? std::string_view(*cause_) : std::string_view();
  }

 private:
  std::shared_ptr<const std::string> cause_;  // shared, so that copies do not throw
};

/// A submit after `close()` or `terminate()`, or in a forked child of the manager.
class PINION_API PoolClosed : public std::runtime_error, public virtual Error {
 public:
  PoolClosed() : PoolClosed("the pool is closed and takes no new tasks") {}
  explicit PoolClosed(const std::string& what) : std::runtime_error(what) {}
  [[nodiscard]] const char* what() const noexcept override { return std::runtime_error::what(); }
};

/// An argument, a result or an error does not fit or does not decode. It ends one task, no more.
class PINION_API EncodingError : public std::runtime_error, public virtual Error {
 public:
  explicit EncodingError(const std::string& what) : std::runtime_error(what) {}
  [[nodiscard]] const char* what() const noexcept override { return std::runtime_error::what(); }
};

/// A limit was reached: memory, pending tasks, descriptors, processes.
class PINION_API ResourceError : public std::runtime_error, public virtual Error {
 public:
  explicit ResourceError(const std::string& what)
      : std::runtime_error(what), parts_(std::make_shared<const Parts>()) {}
  /// @param limit   the limit's name and unit, as "arena_bytes"
  /// @param found   what was there, as "64 MiB, of which 63 MiB are taken"
  /// @param remedy  what to do, as a sentence without its full stop
  ResourceError(std::string limit, std::string found, std::string remedy)
      : std::runtime_error(limit + ": found " + found + "; " + remedy),
        parts_(std::make_shared<const Parts>(
            Parts{std::move(limit), std::move(found), std::move(remedy)})) {}
  ResourceError(const ResourceError&) = default;
  ResourceError& operator=(const ResourceError&) = default;
  [[nodiscard]] const char* what() const noexcept override { return std::runtime_error::what(); }
  [[nodiscard]] const std::string& limit() const noexcept { return parts_->limit; }
  [[nodiscard]] const std::string& found() const noexcept { return parts_->found; }
  [[nodiscard]] const std::string& remedy() const noexcept { return parts_->remedy; }

 private:
  struct Parts {
    std::string limit, found, remedy;
  };
  std::shared_ptr<const Parts> parts_;  // never null: copies share it, and nothing moves it out
};

/// Workers could not be started, or the initializer failed: the text holds its error's text.
class PINION_API StartError : public std::runtime_error, public virtual Error {
 public:
  explicit StartError(const std::string& what) : std::runtime_error(what) {}
  [[nodiscard]] const char* what() const noexcept override { return std::runtime_error::what(); }
};

/// The waiter's own time ran out; the task goes on, and the call may be made again.
class PINION_API WaitTimeout : public std::runtime_error, public virtual Error {
 public:
  WaitTimeout() : WaitTimeout("the result was not ready in the time given") {}
  explicit WaitTimeout(const std::string& what) : std::runtime_error(what) {}
  [[nodiscard]] const char* what() const noexcept override { return std::runtime_error::what(); }
};

/// `successful()` was asked of a result that is not ready.
class PINION_API NotReady : public std::logic_error, public virtual Error {
 public:
  NotReady() : NotReady("the result is not ready; wait() for it first") {}
  explicit NotReady(const std::string& what) : std::logic_error(what) {}
  [[nodiscard]] const char* what() const noexcept override { return std::logic_error::what(); }
};

}  // namespace pinion
