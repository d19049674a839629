// What the loop makes of completions that the kernel gives seldom: short, interrupted, too many at
// once. They are forged in the completion queue, between the kernel and the loop.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <liburing.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "lib/loop/uring_backend.hpp"
#include "tests/unit/loop_helpers.hpp"

using namespace pinion;
using namespace pinion::tests;
using namespace std::chrono_literals;
using loop::Loop;
using loop::Run;
using loop::run_task;
using os::Fd;

namespace pinion::loop {
struct UringAccess {
  static io_uring* ring(Loop& loop) {
    return static_cast<UringBackend&>(*loop.backend_).ring_.get();
  }
};
}  // namespace pinion::loop

namespace {

using Forge = std::function<int(int result, int number)>;

/// Runs a task to its end; each completion of an operation passes through `forge`, with its number
/// from 0. Returns how many there were.
template <class T>
int run_forged(Loop& loop, Run<T>& run, const Forge& forge) {
  io_uring* const ring = loop::UringAccess::ring(loop);
  int number = 0;
  for (int turn = 0; !run.done(); ++turn) {
    if (turn > 100'000) {
      FAIL("the task does not end");
      break;
    }
    if (loop.run_ready(64)) continue;
    if (run.done()) break;
    io_uring_cqe* cqe = nullptr;
    __kernel_timespec timeout{0, 1'000'000};
    (void)io_uring_submit_and_wait_timeout(ring, &cqe, 1, &timeout, nullptr);
    unsigned head = 0;
    io_uring_for_each_cqe(ring, head, cqe) {
      if (cqe->user_data > 1) cqe->res = forge(cqe->res, number++);
    }
    loop.poll();
  }
  return number;
}

/// A loop on io_uring that has its backend.
struct UringLoop : Loop {
  UringLoop() : Loop(IoBackend::uring) {
    Pipe pipe;
    (void)run_task(*this, poll_for(pipe.in.get(), POLLOUT));
  }
};

struct SmallFile : TemporaryFile {
  explicit SmallFile(std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) content += static_cast<char>('a' + i % 23);
    REQUIRE(::pwrite(fd.get(), content.data(), bytes, 0) == static_cast<ssize_t>(bytes));
  }
  std::string content;
};

Task<std::string> read_whole(int fd, std::size_t n, std::uint64_t offset) {
  std::string text(n, '.');
  co_await io::read_exactly(fd, bytes_of(text), offset);
  co_return text;
}

/// `error` in place of the first `times` results.
Forge first_times(int times, int error) {
  return [=](int result, int number) { return number < times ? -error : result; };
}

}  // namespace

TEST_CASE(
    "short reads and writes: the caller gets the count, and the whole ones go on from there") {
  if (!uring_is_here()) return;
  UringLoop loop;
  const SmallFile file(4096);
  Run one(loop, read_some(file.fd.get(), 4096, 0));
  CHECK(run_forged(loop, one, [](int, int) { return 100; }) == 1);
  CHECK(one.take() == file.content.substr(0, 100));

  Run whole(loop, read_whole(file.fd.get(), 4000, 96));
  const Forge sevenths = [](int result, int) { return std::min(result, 7); };
  CHECK(run_forged(loop, whole, sevenths) == (4000 + 6) / 7);
  CHECK(whole.take() == file.content.substr(96));

  TemporaryFile out;
  auto write_whole = [](int fd, std::string text) -> Task<> {
    co_await io::write_all(fd, bytes_of(std::as_const(text)), 0);
  };
  Run writing(loop, write_whole(out.fd.get(), file.content));
  CHECK(run_forged(loop, writing, sevenths) == (4096 + 6) / 7);
  CHECK(run_task(loop, read_some(out.fd.get(), 5000, 0)) == file.content);
}

TEST_CASE("an interrupted operation is done again, as often as it takes") {
  if (!uring_is_here()) return;
  UringLoop loop;
  const SmallFile file(1000);
  for (const int times : {1, 2, 30}) {
    Run reading(loop, read_some(file.fd.get(), 1000, 0));
    CHECK(run_forged(loop, reading, first_times(times, EINTR)) == times + 1);
    CHECK(reading.take() == file.content);

    Run polling(loop, poll_for(file.fd.get(), POLLIN));
    CHECK(run_forged(loop, polling, first_times(times, EINTR)) == times + 1);
    CHECK(polling.take() == POLLIN);

    auto sync = [](int fd) -> Task<> { co_await io::fsync(fd); };
    Run syncing(loop, sync(file.fd.get()));
    CHECK(run_forged(loop, syncing, first_times(times, EINTR)) == times + 1);

    auto size_of = [](int fd) -> Task<std::uint64_t> {
      const auto status = co_await io::statx(fd, "", AT_EMPTY_PATH, STATX_SIZE);
      co_return status.stx_size;
    };
    Run looking(loop, size_of(file.fd.get()));
    CHECK(run_forged(loop, looking, first_times(times, EINTR)) == times + 1);
    CHECK(looking.take() == 1000);
  }
}

TEST_CASE("an interrupted close has closed, and is not done again") {
  if (!uring_is_here()) return;
  UringLoop loop;
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  auto close = [](int number) -> Task<> { co_await io::close(number); };
  Run closing(loop, close(fd));
  Fd same;
  const int count = run_forged(loop, closing, [&](int result, int) {
    CHECK(result == 0);
    same = Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));  // the number is another's now
    return -EINTR;
  });
  CHECK(count == 1);
  CHECK_NOTHROW(closing.take());
  CHECK(same.get() == fd);
  CHECK(::fcntl(fd, F_GETFD) >= 0);
}

TEST_CASE("EAGAIN is waited for by readiness, then the operation is done again") {
  if (!uring_is_here()) return;
  UringLoop loop;
  const SmallFile file(1000);
  Run reading(loop, read_some(file.fd.get(), 1000, 0));
  // The read, the wait for readiness, the read.
  CHECK(run_forged(loop, reading, first_times(1, EAGAIN)) == 3);
  CHECK(reading.take() == file.content);
  // The wait is interrupted as well: then it is tried again.
  Run again(loop, read_some(file.fd.get(), 1000, 0));
  const int count = run_forged(loop, again, [](int result, int number) {
    return number == 0 ? -EAGAIN : number == 1 ? -EINTR : result;
  });
  CHECK(count == 3);
  CHECK(again.take() == file.content);
}

TEST_CASE("EAGAIN from what nobody can wait for is the caller's, as every other error") {
  if (!uring_is_here()) return;
  UringLoop loop;
  const SmallFile file(10);
  auto error_when = [&loop](auto task, int forged) {
    Run run(loop, std::move(task));
    CHECK(run_forged(loop, run, [forged](int, int) { return -forged; }) == 1);
    try {
      run.take();
    } catch (const std::system_error& error) {
      return error.code().value();
    }
    return 0;
  };
  auto sync = [](int fd) -> Task<> { co_await io::fsync(fd); };
  CHECK(error_when(sync(file.fd.get()), EAGAIN) == EAGAIN);
  CHECK(error_when(sync(file.fd.get()), EIO) == EIO);
  CHECK(error_when(read_some(file.fd.get(), 10, 0), EIO) == EIO);
  CHECK(error_when(read_some(file.fd.get(), 10, 0), EBUSY) == EBUSY);
  // Nobody has cancelled it: not Cancelled.
  CHECK(error_when(read_some(file.fd.get(), 10, 0), ECANCELED) == ECANCELED);
}

TEST_CASE("a connection in progress is waited for") {
  if (!uring_is_here()) return;
  UringLoop loop;
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  const Fd one(pair[0]);
  const Fd two(pair[1]);
  sockaddr_storage address{};
  address.ss_family = AF_INET;
  for (const int error : {EINPROGRESS, EALREADY, EAGAIN}) {
    Run run(loop, io::connect(one.get(), reinterpret_cast<const sockaddr*>(&address), 16));
    // The connect, the wait until the socket can be written to, the connect.
    const int count = run_forged(loop, run, [error](int result, int number) {
      return number == 0 ? -error : number == 1 ? result : 0;
    });
    CHECK(count == 3);
    CHECK_NOTHROW(run.take());
  }
}

TEST_CASE("what is interrupted after its cancellation ends as cancelled") {
  if (!uring_is_here()) return;
  UringLoop loop;
  for (const int error : {EINTR, EAGAIN}) {
    Pipe pipe;
    Run run(loop, read_some(pipe.out.get(), 10));
    turn_until_waiting(loop, run);
    loop.cancel(run.root());
    CHECK(run_forged(loop, run, [error](int, int) { return -error; }) == 1);
    CHECK_THROWS_AS(run.take(), Cancelled);
    CHECK_FALSE(loop.in_flight());
  }
}

TEST_CASE("more completions at once than the queue holds: the kernel keeps them, none is lost") {
  if (!uring_is_here()) return;
  UringLoop loop;
  io_uring* const ring = loop::UringAccess::ring(loop);
  constexpr std::size_t n = 3000;
  REQUIRE(n > ring->cq.ring_entries);
  Pipe pipe;
  std::vector<Task<short>> polls;  // each is done as it is submitted
  for (std::size_t i = 0; i < n; ++i) polls.push_back(poll_for(pipe.in.get(), POLLOUT));
  Run run(loop, when_all(std::move(polls)));
  loop.run_ready(1);
  CHECK(io_uring_cq_has_overflow(ring) != 0);
  while (!run.done()) run.step(os::now_ns() + 1000 * ms);
  const auto results = run.take();
  CHECK(static_cast<std::size_t>(std::count(results.begin(), results.end(), POLLOUT)) == n);
  CHECK_FALSE(loop.in_flight());
}

TEST_CASE("an overflow in the midst of a mass cancellation loses nobody") {
  if (!uring_is_here()) return;
  UringLoop loop;
  io_uring* const ring = loop::UringAccess::ring(loop);
  constexpr std::size_t n = 2000;
  Pipe silent;
  std::vector<Task<std::string>> reads;
  for (std::size_t i = 0; i < n; ++i) reads.push_back(read_some(silent.out.get(), 1));
  auto run = std::make_unique<Run<std::vector<std::string>>>(loop, when_all(std::move(reads)));
  turn_until_waiting(loop, *run);
  loop.cancel(run->root());
  CHECK(io_uring_cq_has_overflow(ring) != 0);
  while (!run->done()) run->step(os::now_ns() + 1000 * ms);
  CHECK_THROWS_AS(run->take(), Cancelled);
  CHECK_FALSE(loop.in_flight());
  // And destroyed in place of cancelled.
  std::vector<Task<std::string>> more;
  for (std::size_t i = 0; i < n; ++i) more.push_back(read_some(silent.out.get(), 1));
  run = std::make_unique<Run<std::vector<std::string>>>(loop, when_all(std::move(more)));
  turn_until_waiting(loop, *run);
  run.reset();
  CHECK_FALSE(loop.in_flight());
  CHECK(run_task(loop, write_some(silent.in.get(), "x")) == 1);
  CHECK(run_task(loop, read_some(silent.out.get(), 10)) == "x");
}
