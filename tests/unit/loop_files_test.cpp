#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "tests/unit/loop_helpers.hpp"

using namespace pinion;
using namespace pinion::tests;
using namespace std::chrono_literals;
using loop::Loop;
using loop::Run;
using loop::run_task;
using os::Fd;

namespace {

struct TemporaryFolder {
  TemporaryFolder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    for (const char* name : {"a", "b", "fifo"}) (void)::unlink((path + "/" + name).c_str());
    (void)::rmdir(path.c_str());
  }
  std::string path = "/tmp/loop_files_XXXXXX";
};

Task<int> open_file(std::string path, int flags, unsigned mode = 0644) {
  co_return co_await io::open(std::move(path), flags | O_CLOEXEC, mode);
}
Task<int> open_under(int folder, std::string path, int flags) {
  co_return co_await io::openat(folder, std::move(path), flags | O_CLOEXEC);
}
Task<struct ::statx> look_up(int folder, std::string path, int flags = 0) {
  co_return co_await io::statx(folder, std::move(path), flags, STATX_BASIC_STATS);
}
Task<> sync_file(int fd) { co_await io::fsync(fd); }
Task<> close_file(int fd) { co_await io::close(fd); }
Task<std::string> read_whole(int fd, std::size_t n, std::optional<std::uint64_t> offset) {
  std::string text(n, '.');
  co_await io::read_exactly(fd, bytes_of(text), offset);
  co_return text;
}
Task<> write_whole(int fd, std::string text, std::optional<std::uint64_t> offset) {
  co_await io::write_all(fd, bytes_of(std::as_const(text)), offset);
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

/// The numbers that the next descriptors would get.
std::vector<int> next_descriptors() {
  std::vector<Fd> some;
  std::vector<int> numbers;
  for (int i = 0; i < 8; ++i) {
    some.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    numbers.push_back(some.back().get());
  }
  return numbers;
}

}  // namespace

TEST_CASE("a file is opened, written, synced, looked up and closed") {
  on_each_backend([](Loop& loop) {
    const TemporaryFolder folder;
    auto whole_life = [](std::string path) -> Task<> {
      const int fd = co_await io::open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
      CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
      co_await io::write_all(fd, bytes_of(std::string("twelve bytes")));
      co_await io::fsync(fd);
      const struct ::statx status = co_await io::statx(AT_FDCWD, path, 0, STATX_BASIC_STATS);
      CHECK(status.stx_size == 12);
      CHECK((status.stx_mode & 0777) == 0600);
      co_await io::close(fd);
      CHECK_FALSE(is_open(fd));
    };
    run_task(loop, whole_life(folder.path + "/a"));

    const Fd directory(::open(folder.path.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
    const Fd again(run_task(loop, open_under(directory.get(), "a", O_RDONLY)));
    CHECK(run_task(loop, read_some(again.get(), 100)) == "twelve bytes");
    const struct ::statx itself = run_task(loop, look_up(directory.get(), "", AT_EMPTY_PATH));
    CHECK(S_ISDIR(itself.stx_mode));
    CHECK_FALSE(loop.in_flight());
  });
}

TEST_CASE("what the kernel refuses about files is a system_error that names the path") {
  on_each_backend([](Loop& loop) {
    const TemporaryFolder folder;
    CHECK(error_of(loop, open_file(folder.path + "/none", O_RDONLY)) == ENOENT);
    CHECK(error_of(loop, open_file(folder.path, O_WRONLY)) == EISDIR);
    CHECK(error_of(loop, open_under(987'654, "x", O_RDONLY)) == EBADF);
    CHECK(error_of(loop, look_up(AT_FDCWD, folder.path + "/none")) == ENOENT);
    CHECK(error_of(loop, sync_file(987'654)) == EBADF);
    CHECK(error_of(loop, close_file(987'654)) == EBADF);
    Pipe pipe;
    CHECK(error_of(loop, sync_file(pipe.in.get())) == EINVAL);
    CHECK_THROWS_WITH_AS(run_task(loop, open_under(987'654, "x", O_RDONLY)),
                         "opening x under descriptor 987654: Bad file descriptor",
                         std::system_error);
    CHECK_THROWS_AS(run_task(loop, open_file(std::string("a\0b", 3), O_RDONLY)),
                    std::invalid_argument);
  });
}

TEST_CASE("read_exactly and write_all go on after short transfers") {
  on_each_backend([](Loop& loop) {
    // A pipe holds 64 KiB: both sides are short many times.
    const std::string text(1'000'003, 't');
    Pipe pipe;
    auto both =
        when_all(write_whole(pipe.in.get(), text, {}), read_whole(pipe.out.get(), text.size(), {}));
    CHECK(std::get<1>(run_task(loop, std::move(both))) == text);
    TemporaryFile file;
    run_task(loop, write_whole(file.fd.get(), "0123456789", 5));
    CHECK(run_task(loop, read_whole(file.fd.get(), 4, 7)) == "2345");
    CHECK(run_task(loop, read_whole(file.fd.get(), 0, 7)).empty());
  });
}

TEST_CASE("read_exactly says how much there was where the input ends too early") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    run_task(loop, write_whole(pipe.in.get(), "abc", {}));
    pipe.in.reset();
    const std::string what = "reading descriptor " + std::to_string(pipe.out.get()) +
                             ": the input ended after 3 of 10 bytes: No data available";
    CHECK_THROWS_WITH_AS(run_task(loop, read_whole(pipe.out.get(), 10, {})), what.c_str(),
                         std::system_error);
    TemporaryFile file;
    run_task(loop, write_whole(file.fd.get(), "abc", {}));
    CHECK(error_of(loop, read_whole(file.fd.get(), 4, 0)) == ENODATA);
  });
}

TEST_CASE("a close in a cancelled task closes all the same") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    const int fd = ::dup(pipe.out.get());
    const int file = ::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    auto task = [](int blocked, int first, int second) -> Task<std::string> {
      try {
        co_await read_some(blocked, 1);
      } catch (const Cancelled&) {
      }
      co_await io::close(first);
      co_await io::close(second);
      co_return "closed";
    };
    Run run(loop, task(pipe.out.get(), fd, file));
    turn_until_waiting(loop, run);
    loop.cancel(run.root());
    while (!run.done()) run.step();
    CHECK(run.take() == "closed");
    CHECK_FALSE(is_open(fd));
    CHECK_FALSE(is_open(file));
  });
}

TEST_CASE("opens and closes that nobody waits for any more leave no descriptor and lose none") {
  on_each_backend([](Loop& loop) {
    const TemporaryFolder folder;
    // The backend and its helpers are made.
    Fd(run_task(loop, open_file(folder.path + "/a", O_CREAT | O_RDWR))).reset();
    const std::vector<int> before = next_descriptors();
    for (int round = 0; round < 60; ++round) {
      Fd kept(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
      const int closing = kept.get();
      {
        std::vector<std::unique_ptr<Run<int>>> opens;
        for (int i = 0; i < 5; ++i)
          opens.push_back(std::make_unique<Run<int>>(loop, open_file(folder.path + "/a", O_RDWR)));
        const Run close(loop, close_file(kept.release()));
        loop.run_ready(6);
        for (int turn = 0; turn < round % 4; ++turn) loop.poll();
        if (round % 5 == 0) loop.wait(os::now_ns() + 10 * ms);
      }
      CHECK_FALSE(is_open(closing));
      CHECK_FALSE(loop.in_flight());
    }
    CHECK(next_descriptors() == before);
  });
}

TEST_CASE("a loop that goes first with opens and closes in it leaves no descriptor") {
  for (const IoBackend kind : {IoBackend::poll, IoBackend::uring}) {
    if (kind == IoBackend::uring && !uring_is_here()) continue;
    const std::vector<int> before = next_descriptors();
    for (int round = 0; round < 20; ++round) {
      std::vector<std::coroutine_handle<>> frames;
      std::vector<std::unique_ptr<loop::Root>> roots;
      auto drive = [](auto task) -> detail::Detached { co_await std::move(task); };
      const int closing = ::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
      {
        Loop loop(kind);
        auto start = [&](auto task) {
          frames.push_back(drive(std::move(task)).release());
          roots.push_back(std::make_unique<loop::Root>());
          loop.start(*roots.back(), frames.back());
        };
        for (int i = 0; i < 5; ++i) start(open_file("/dev/null", O_RDONLY));
        start(close_file(closing));
        loop.run_ready(6);
        for (int turn = 0; turn < round % 3; ++turn) loop.poll();
      }
      for (const auto frame : frames) frame.destroy();
      CHECK_FALSE(is_open(closing));
    }
    CHECK(next_descriptors() == before);
  }
}

TEST_CASE("an open of a FIFO waits for its other end without stopping the loop") {
  on_each_backend([](Loop& loop) {
    const TemporaryFolder folder;
    const std::string path = folder.path + "/fifo";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    for (const bool reader_first : {true, false}) {
      std::vector<std::string> order;
      auto end = [](std::string name, int flags, Duration delay,
                    std::vector<std::string>& notes) -> Task<std::string> {
        const std::string who = flags == O_RDONLY ? "reader" : "writer";
        co_await sleep_for(delay);
        notes.push_back(who + " opens");
        const Fd fd(co_await io::open(std::move(name), flags | O_CLOEXEC));
        notes.push_back(who + " has opened");
        if (flags == O_WRONLY) co_await write_some(fd.get(), "through");
        if (flags == O_RDONLY) co_return co_await read_some(fd.get(), 100);
        co_return "";
      };
      const Duration late = 20ms;
      auto [text, none] =
          run_task(loop, when_all(end(path, O_RDONLY, reader_first ? Duration() : late, order),
                                  end(path, O_WRONLY, reader_first ? late : Duration(), order)));
      CHECK(text == "through");
      // Neither has opened before both were there.
      CHECK(order[0].ends_with("opens"));
      CHECK(order[1].ends_with("opens"));
    }
    CHECK(error_of(loop, open_file(path, O_WRONLY | O_NONBLOCK)) == ENXIO);
    Fd(run_task(loop, open_file(path, O_RDONLY | O_NONBLOCK))).reset();
  });
}

TEST_CASE("an open of a FIFO whose other end nobody opens can be cancelled and destroyed") {
  on_each_backend([](Loop& loop) {
    const TemporaryFolder folder;
    const std::string path = folder.path + "/fifo";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    const std::vector<int> before = next_descriptors();
    for (int round = 0; round < 20; ++round) {
      const int flags = round % 2 == 0 ? O_RDONLY : O_WRONLY;
      auto open_end = [](std::string name, int how) -> Task<> {
        Fd(co_await io::open(std::move(name), how | O_CLOEXEC)).reset();
      };
      Run run(loop, open_end(path, flags));
      Run dropped(loop, open_end(path, flags));
      loop.run_ready(2);
      for (int turn = 0; turn < round % 3; ++turn) loop.wait(os::now_ns() + 2 * ms);
      loop.cancel(run.root());
      while (!run.done()) run.step(os::now_ns() + 1000 * ms);
      CHECK_THROWS_AS(run.take(), Cancelled);
    }
    CHECK_FALSE(loop.in_flight());
    CHECK(next_descriptors() == before);
  });
  for (const IoBackend kind : {IoBackend::poll, IoBackend::uring}) {
    if (kind == IoBackend::uring && !uring_is_here()) continue;
    const TemporaryFolder folder;
    const std::string path = folder.path + "/fifo";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    loop::Root root;
    auto drive = [](auto task) -> detail::Detached { (void)co_await std::move(task); };
    const std::coroutine_handle<> frame = drive(open_file(path, O_RDONLY)).release();
    {
      Loop loop(kind);
      loop.start(root, frame);
      loop.run_ready(1);
      loop.poll();
    }
    frame.destroy();
  }
}
