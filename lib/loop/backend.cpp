#include "lib/loop/backend.hpp"

#include <cerrno>
#include <system_error>

#include "lib/loop/poll_backend.hpp"
#include "lib/loop/uring_backend.hpp"

namespace pinion::loop {

namespace {

ChosenBackend make_uring(IoBackend wanted, Completions& completions) {
  auto uring = std::make_unique<UringBackend>(completions);
  std::string reason = wanted == IoBackend::uring ? "asked for by name; " : "available; ";
  reason += uring->mode();
  return {std::move(uring), IoBackend::uring, std::move(reason)};
}

std::string refusal(const std::system_error& error) {
  std::string reason = error.what();
  const int code = error.code().value();
  if (code == EPERM || code == EACCES || code == ENOSYS || code == EOPNOTSUPP)
    reason += " (by kernel.io_uring_disabled, a seccomp filter, or the kernel's age)";
  if (code == ENOMEM) reason += " (RLIMIT_MEMLOCK counts all rings of the user)";
  return reason;
}

}  // namespace

ChosenBackend make_backend(IoBackend wanted, Completions& completions) {
  std::string reason = "asked for by name";
  if (wanted == IoBackend::uring) return make_uring(wanted, completions);
  if (wanted == IoBackend::automatic) {
    try {
      return make_uring(wanted, completions);
    } catch (const std::system_error& error) {
      if (!means_not_available(error.code().value())) throw;
      reason = refusal(error);
    }
  }
  return {std::make_unique<PollBackend>(completions), IoBackend::poll, std::move(reason)};
}

}  // namespace pinion::loop
