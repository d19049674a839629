#include <doctest/doctest.h>

#include <pinion/errors.hpp>

#include <signal.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace {

bool says(const std::exception& e, std::string_view part) {
  return std::string_view(e.what()).find(part) != std::string_view::npos;
}

// `thrown` is caught as itself, as `Base`, as std::exception and as pinion::Error, with one text.
template <class Base, class T>
void check_caught_as_all(const T& thrown) {
  const std::string text = thrown.what();
  CHECK_FALSE(text.empty());
  try {
    throw thrown;
  } catch (const T& e) {
    CHECK(e.what() == text);
  }
  try {
    throw thrown;
  } catch (const Base& e) {
    CHECK(e.what() == text);
  }
  try {
    throw thrown;
  } catch (const std::exception& e) {
    CHECK(e.what() == text);
  }
  try {
    throw thrown;
  } catch (const pinion::Error& e) {
    CHECK(e.what() == text);
  }
  static_assert(std::is_nothrow_copy_constructible_v<T>);
  static_assert(std::is_nothrow_copy_assignable_v<T>);
}

pinion::WorkerLost::Details killed_by(int signal) {
  return {.worker = 3, .pid = 1234, .status = pinion::ExitStatus::signaled(signal), .item = 7};
}

}  // namespace

TEST_CASE("every error is caught as its standard base, as std::exception and as pinion::Error") {
  check_caught_as_all<std::runtime_error>(pinion::WorkerLost(killed_by(SIGSEGV)));
  check_caught_as_all<std::runtime_error>(pinion::TaskTimeout());
  check_caught_as_all<std::runtime_error>(pinion::Cancelled());
  check_caught_as_all<std::runtime_error>(pinion::PoolTerminated());
  check_caught_as_all<std::runtime_error>(pinion::PoolClosed());
  check_caught_as_all<std::runtime_error>(pinion::EncodingError("x"));
  check_caught_as_all<std::runtime_error>(pinion::ResourceError("arena_bytes", "0", "raise it"));
  check_caught_as_all<std::runtime_error>(pinion::StartError("x"));
  check_caught_as_all<std::runtime_error>(pinion::WaitTimeout());
  check_caught_as_all<std::logic_error>(pinion::NotReady());
}

TEST_CASE("every error takes a text") {
  CHECK(says(pinion::WorkerLost("gone"), "gone"));
  CHECK(says(pinion::TaskTimeout("late"), "late"));
  CHECK(says(pinion::Cancelled("no more"), "no more"));
  CHECK(says(pinion::PoolClosed("shut"), "shut"));
  CHECK(says(pinion::EncodingError("too long"), "too long"));
  CHECK(says(pinion::ResourceError("full"), "full"));
  CHECK(says(pinion::StartError("initializer threw: boom"), "boom"));
  CHECK(says(pinion::WaitTimeout("slow"), "slow"));
  CHECK(says(pinion::NotReady("early"), "early"));
}

TEST_CASE("a pool that failed says why") {
  CHECK(pinion::PoolTerminated().cause().empty());
  const pinion::PoolTerminated failed("no worker was left");
  CHECK(failed.cause() == "no worker was left");
  CHECK(says(failed, "no worker was left"));
}

TEST_CASE("a lost worker says what happened, to which item and worker, and what to do") {
  auto details = killed_by(SIGSEGV);
  details.phase = pinion::WorkerLost::Phase::started;
  const pinion::WorkerLost lost(details);
  for (const char* part : {"item 7", "worker 3", "pid 1234", "signal 11", "SIGSEGV", "while it ran",
                           "Submit it again"}) {
    CHECK_MESSAGE(says(lost, part), part, " in: ", lost.what());
  }
  CHECK(lost.worker() == 3);
  CHECK(lost.pid() == 1234);
  CHECK(lost.item() == 7);
  CHECK(lost.status() == pinion::ExitStatus::signaled(SIGSEGV));
  CHECK(lost.phase() == pinion::WorkerLost::Phase::started);
  CHECK(lost.hint().empty());
}

TEST_CASE("a lost worker tells an exit code from a signal and from an unknown end") {
  auto details = killed_by(SIGSEGV);
  details.status = pinion::ExitStatus::exited(9);
  CHECK(says(pinion::WorkerLost(details), "exit code 9"));
  details.status = {};
  CHECK(says(pinion::WorkerLost(details), "status unknown"));
}

TEST_CASE("an unexplained SIGKILL hints at the OOM killer, an explained one does not") {
  const pinion::WorkerLost lost(killed_by(SIGKILL));
  CHECK(lost.hint().find("OOM") != std::string::npos);
  CHECK(says(lost, "OOM"));

  auto own = killed_by(SIGKILL);
  own.hint = "the cgroup counted an oom_kill";
  CHECK(pinion::WorkerLost(own).hint() == own.hint);
  CHECK(says(pinion::WorkerLost(own), own.hint));

  auto culprit = killed_by(SIGKILL);
  culprit.cause = pinion::WorkerLost::Cause::killed_with_culprit;
  culprit.culprit = "item 4 ran past its timeout";
  const pinion::WorkerLost sibling(culprit);
  CHECK(sibling.hint().empty());
  CHECK(says(sibling, "item 4 ran past its timeout"));

  auto breach = killed_by(SIGKILL);
  breach.cause = pinion::WorkerLost::Cause::protocol_breach;
  CHECK(says(pinion::WorkerLost(breach), "protocol"));
}

TEST_CASE("a resource error names limit, found and remedy") {
  const pinion::ResourceError e("arena_bytes", "64 MiB, all taken",
                                "raise PoolOptions::arena_bytes");
  CHECK(e.limit() == "arena_bytes");
  CHECK(e.found() == "64 MiB, all taken");
  CHECK(e.remedy() == "raise PoolOptions::arena_bytes");
  CHECK(says(e, "arena_bytes: found 64 MiB, all taken; raise PoolOptions::arena_bytes"));
}

TEST_CASE("an error that was moved from can still be asked") {
  pinion::ResourceError resource("a", "b", "c");
  pinion::WorkerLost lost(killed_by(SIGABRT));
  const auto resource2 = std::move(resource);
  const auto lost2 = std::move(lost);
  CHECK(resource.limit() == "a");  // NOLINT(bugprone-use-after-move): that is the point
  CHECK(resource2.limit() == "a");
  CHECK(lost.item() == 7);  // NOLINT(bugprone-use-after-move)
  CHECK(lost2.item() == 7);
}
