#include <doctest/doctest.h>

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
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

TEST_CASE("a pipe carries bytes, and its end is 0 bytes") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    CHECK(run_task(loop, write_some(pipe.in.get(), "hello")) == 5);
    CHECK(run_task(loop, read_some(pipe.out.get(), 3)) == "hel");
    CHECK(run_task(loop, read_some(pipe.out.get(), 100)) == "lo");
    auto both = when_all(read_some(pipe.out.get(), 100), write_later(pipe.in.get(), "late", 20ms));
    CHECK(std::get<0>(run_task(loop, std::move(both))) == "late");
    pipe.in.reset();
    CHECK(run_task(loop, read_some(pipe.out.get(), 100)).empty());
    CHECK_FALSE(loop.in_flight());
  });
}

TEST_CASE("a pipe in non-blocking mode is waited for as well") {
  on_each_backend([](Loop& loop) {
    Pipe pipe(O_NONBLOCK);
    auto both = when_all(read_some(pipe.out.get(), 100), write_later(pipe.in.get(), "x", 20ms));
    CHECK(std::get<0>(run_task(loop, std::move(both))) == "x");
    const std::string filling(1 << 20, 'f');
    CHECK(::write(pipe.in.get(), filling.data(), filling.size()) > 0);
    auto drain = [](int fd) -> Task<> {
      co_await sleep_for(20ms);
      co_await read_some(fd, 1 << 20);
    };
    CHECK(std::get<0>(run_task(
              loop, when_all(write_some(pipe.in.get(), "more"), drain(pipe.out.get())))) == 4);
  });
}

TEST_CASE("a writer to a full pipe in blocking mode does not stop the others") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    auto write_all = [](int fd, std::size_t total) -> Task<> {
      const std::string text(total, 'w');
      std::size_t done = 0;
      while (done < total) done += co_await io::write(fd, bytes_of(text).subspan(done));
    };
    auto read_all = [](int fd, std::size_t total) -> Task<std::size_t> {
      std::size_t done = 0;
      while (done < total) done += (co_await read_some(fd, 50'000)).size();
      co_return done;
    };
    constexpr std::size_t total = 1 << 20;
    auto both = when_all(write_all(pipe.in.get(), total), read_all(pipe.out.get(), total));
    CHECK(std::get<1>(run_task(loop, std::move(both))) == total);
  });
}

TEST_CASE("files are read and written at offsets and at their position") {
  on_each_backend([](Loop& loop) {
    TemporaryFile file;
    const int fd = file.fd.get();
    CHECK(run_task(loop, write_some(fd, "0123456789")) == 10);
    CHECK(run_task(loop, write_some(fd, "ab", 4)) == 2);
    CHECK(run_task(loop, read_some(fd, 4, 3)) == "3ab6");
    CHECK(run_task(loop, read_some(fd, 100, 8)) == "89");
    CHECK(run_task(loop, read_some(fd, 100, 10)).empty());
    CHECK(run_task(loop, read_some(fd, 100)).empty());
    CHECK(::lseek(fd, 2, SEEK_SET) == 2);
    CHECK(run_task(loop, read_some(fd, 3)) == "23a");
    CHECK(run_task(loop, read_some(fd, 2)) == "b6");
    CHECK(run_task(loop, poll_for(fd, POLLIN)) == POLLIN);
  });
}

TEST_CASE("many reads of a file at once all come back right") {
  on_each_backend([](Loop& loop) {
    TemporaryFile file;
    const int fd = file.fd.get();
    std::string content(1 << 20, ' ');
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>('a' + i % 23);
    REQUIRE(::pwrite(fd, content.data(), content.size(), 0) == 1 << 20);
    std::vector<Task<std::string>> reads;
    for (std::size_t i = 0; i < 600; ++i) reads.push_back(read_some(fd, 1000, i * 1700));
    const std::vector<std::string> results = run_task(loop, when_all(std::move(reads)));
    for (std::size_t i = 0; i < results.size(); ++i)
      CHECK(results[i] == content.substr(i * 1700, 1000));
  });
}

TEST_CASE("an offset is ignored where there is no position") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    CHECK(run_task(loop, write_some(pipe.in.get(), "abc", 7)) == 3);
    CHECK(run_task(loop, read_some(pipe.out.get(), 9, 5)) == "abc");
  });
}

TEST_CASE("the kernel's errors come as system_error with their number") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    CHECK(error_of(loop, read_some(-1, 1)) == EBADF);
    CHECK(error_of(loop, read_some(pipe.in.get(), 1)) == EBADF);
    CHECK(error_of(loop, poll_for(987'654, POLLIN)) == EBADF);
    CHECK(error_of(loop, read_some(::open("/", O_RDONLY | O_CLOEXEC), 1)) == EISDIR);
    pipe.out.reset();
    CHECK(error_of(loop, write_some(pipe.in.get(), "x")) == EPIPE);
    CHECK_THROWS_WITH_AS(run_task(loop, read_some(987'654, 1)),
                         "reading descriptor 987654: Bad file descriptor", std::system_error);
  });
}

TEST_CASE("poll tells which events hold") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    CHECK(run_task(loop, poll_for(pipe.in.get(), POLLOUT | POLLIN)) == POLLOUT);
    auto both = when_all(poll_for(pipe.out.get(), POLLIN), write_later(pipe.in.get(), "x", 10ms));
    CHECK(std::get<0>(run_task(loop, std::move(both))) == POLLIN);
    pipe.in.reset();
    CHECK((run_task(loop, poll_for(pipe.out.get(), POLLIN)) & POLLHUP) != 0);
  });
}

TEST_CASE("several operations may wait for one descriptor") {
  on_each_backend([](Loop& loop) {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    const Fd one(pair[0]);
    const Fd two(pair[1]);
    std::vector<Task<std::string>> reads;
    for (int i = 0; i < 3; ++i) reads.push_back(read_some(one.get(), 10));
    auto send = [](int fd) -> Task<> {
      co_await sleep_for(10ms);
      for (const char* text : {"a", "b", "c"}) co_await write_some(fd, text);
    };
    auto both = when_all(when_all(std::move(reads)), write_some(one.get(), "back"), send(two.get()),
                         read_some(two.get(), 10));
    auto [texts, sent, none, back] = run_task(loop, std::move(both));
    std::sort(texts.begin(), texts.end());
    CHECK(texts == std::vector<std::string>{"a", "b", "c"});
    CHECK(back == "back");
  });
}

TEST_CASE("more operations than the queues hold are all done") {
  on_each_backend([](Loop& loop) {
    constexpr std::size_t n = 3000;
    Pipe pipe;
    std::vector<Task<short>> polls;
    for (std::size_t i = 0; i < n; ++i) polls.push_back(poll_for(pipe.out.get(), POLLIN));
    auto both = when_all(when_all(std::move(polls)), write_later(pipe.in.get(), "x", 30ms));
    const auto results = std::get<0>(run_task(loop, std::move(both)));
    CHECK(static_cast<std::size_t>(std::count(results.begin(), results.end(), POLLIN)) == n);
  });
}

TEST_CASE("a number that another file has taken meanwhile is waited for as that file") {
  on_each_backend([](Loop& loop) {
    for (int round = 0; round < 5; ++round) {
      Pipe old;
      auto both =
          when_all(read_some(old.out.get(), 1), write_later(old.in.get(), "x", Duration(2ms)));
      CHECK(std::get<0>(run_task(loop, std::move(both))) == "x");
      // The old file lives on elsewhere, and is ready.
      const Fd kept(::dup(old.out.get()));
      REQUIRE(::write(old.in.get(), "old", 3) == 3);
      const Pipe fresh;
      REQUIRE(::dup3(fresh.out.get(), old.out.get(), O_CLOEXEC) == old.out.get());
      auto again = when_all(read_some(old.out.get(), 10),
                            write_later(fresh.in.get(), "fresh", Duration(2ms)));
      CHECK(std::get<0>(run_task(loop, std::move(again))) == "fresh");
      CHECK(run_task(loop, read_some(kept.get(), 10)) == "old");
    }
  });
}

TEST_CASE("a batch is what was ready when it began, and at most as many as wanted") {
  on_each_backend([](Loop& loop) {
    std::string order;
    auto yield_often = [&order](char name) -> Task<> {
      for (int i = 0; i < 3; ++i) {
        order += name;
        co_await yield();
      }
    };
    Run a(loop, yield_often('a'));
    Run b(loop, yield_often('b'));
    Run c(loop, yield_often('c'));
    CHECK(loop.run_ready(64));
    CHECK(order == "abc");
    CHECK(loop.run_ready(2));
    CHECK(order == "abcab");
    CHECK(loop.run_ready(64));
    CHECK(order == "abcabcab");
    while (loop.run_ready(64)) {
    }
    CHECK(order == "abcabcabc");
    CHECK(a.done());
  });
}

TEST_CASE("a stall is what holds the loop for longer than the limit") {
  loop::StallMeter meter(20 * ms);
  Loop loop(IoBackend::poll);
  auto spin_between = [](int spins, std::int64_t length) -> Task<> {
    for (int i = 0; i < spins; ++i) {
      for (const auto end = os::now_ns() + length; os::now_ns() < end;) {
      }
      co_await yield();
    }
  };
  Run run(loop, spin_between(2, 60 * ms));
  meter.begin();
  while (loop.run_ready(64, &meter)) {
  }
  CHECK(meter.stalls() >= 2);
  CHECK(meter.longest_ns() >= 60 * ms);
  loop::StallMeter none(os::never_ns);
  Run other(loop, spin_between(1, 30 * ms));
  none.begin();
  while (loop.run_ready(64, &none)) {
  }
  CHECK(none.stalls() == 0);
}
