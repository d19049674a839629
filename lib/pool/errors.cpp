// The texts of the errors that have much to tell.
#include <pinion/errors.hpp>

#include <signal.h>
#include <string.h>

#include <memory>
#include <string>
#include <utility>

namespace pinion {
namespace {

std::string signal_text(int number) {
  const char* name = sigabbrev_np(number);
  std::string text = "signal " + std::to_string(number);
  if (name != nullptr) text += std::string(" (SIG") + name + ")";
  return text;
}

std::string end_text(ExitStatus status) {
  switch (status.kind) {
    case ExitStatus::Kind::exited:
      return "ended with exit code " + std::to_string(status.value);
    case ExitStatus::Kind::signaled:
      return "was killed by " + signal_text(status.value);
    case ExitStatus::Kind::unknown:
      break;
  }
  return "ended, its status unknown (the host program reaped it)";
}

std::string cause_text(const WorkerLost::Details& d) {
  switch (d.cause) {
    case WorkerLost::Cause::protocol_breach:
      return "broke the protocol of the shared memory and was replaced";
    case WorkerLost::Cause::killed_with_culprit:
      return "was killed for another task that it was running";
    case WorkerLost::Cause::abandoned:
      return "was killed, did not end within 1 s (it is in uninterruptible sleep, in the kernel) "
             "and "
             "was abandoned";
    case WorkerLost::Cause::death:
      break;
  }
  return end_text(d.status);
}

std::string phase_text(WorkerLost::Phase phase) {
  return phase == WorkerLost::Phase::started ? " while it ran the item"
                                             : "; the item may have run, in part or whole";
}

std::string task_text(std::uint64_t task, std::optional<std::uint64_t> item) {
  std::string text = task == 0 ? "a task" : "task " + std::to_string(task);
  if (item) text = "item " + std::to_string(*item) + " of " + (task == 0 ? "a map" : text);
  return text;
}

// Only SIGKILL comes from the OOM killer, and only one that pinion did not send is a riddle.
std::string default_hint(const WorkerLost::Details& d) {
  if (d.cause != WorkerLost::Cause::death || d.status != ExitStatus::signaled(SIGKILL)) return {};
  return "A SIGKILL that pinion did not send is often the kernel's OOM killer: see dmesg and "
         "memory.events of the cgroup; fewer processes or smaller tasks need less memory.";
}

WorkerLost::Details with_hint(WorkerLost::Details d) {
  if (d.hint.empty()) d.hint = default_hint(d);
  return d;
}

std::string lost_text(const WorkerLost::Details& d) {
  std::string text = task_text(d.task, d.item) + " was lost: worker " + std::to_string(d.worker) +
                     " (pid " + std::to_string(d.pid) + ") ";
  text += cause_text(d);
  if (!d.culprit.empty()) text += " (" + d.culprit + ")";
  text += phase_text(d.phase) + ". ";
  text += "Submit it again if it may safely run twice.";
  if (!d.hint.empty()) text += " " + d.hint;
  return text;
}

}  // namespace

WorkerLost::WorkerLost(Details details)
    : WorkerLost(lost_text(with_hint(details)), with_hint(details)) {}

WorkerLost::WorkerLost(const std::string& what) : WorkerLost(what, Details()) {}

WorkerLost::WorkerLost(const std::string& what, Details details)
    : std::runtime_error(what), details_(std::make_shared<const Details>(std::move(details))) {}

std::string RemoteError::describe() const {
  const RemoteReport& r = report();
  std::string text = r.type_name + ": " + r.what;
  text += "\n  in worker " + std::to_string(r.worker) + " (pid " + std::to_string(r.pid) +
          "), item " + std::to_string(r.item);
  for (const NestedError& inner : r.nested) {
    text += "\n  from " + inner.type_name + ": " + inner.what;
  }
  if (!r.backtrace.empty()) text += "\n" + r.backtrace;
  return text;
}

}  // namespace pinion
