#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
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

/// A listener on a free port of the loopback, or on an abstract Unix name that the kernel chooses.
struct Listener {
  Listener(int family, int flags, int backlog) : family_(family) {
    fd = Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    REQUIRE(fd.get() >= 0);
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto* given = reinterpret_cast<const sockaddr*>(&in);
    const sa_family_t unix_family = AF_UNIX;
    socklen_t bytes = sizeof in;
    if (family == AF_UNIX) {
      given = reinterpret_cast<const sockaddr*>(&unix_family);
      bytes = sizeof unix_family;
    }
    REQUIRE(::bind(fd.get(), given, bytes) == 0);
    REQUIRE(::listen(fd.get(), backlog) == 0);
    length = sizeof storage;
    REQUIRE(::getsockname(fd.get(), address(), &length) == 0);
  }
  sockaddr* address() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] Fd client(int flags = 0) const {
    return Fd(::socket(family_, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  }

  Fd fd;
  sockaddr_storage storage{};
  socklen_t length = 0;

 private:
  int family_;
};

/// A check on each backend, for TCP and Unix sockets in both modes.
template <class Check>
void on_each_kind(Check check, int unix_backlog = 16, int tcp_backlog = 256) {
  for (const int family : {AF_INET, AF_UNIX})
    for (const int mode : {0, int(SOCK_NONBLOCK)}) {
      CAPTURE(family);
      CAPTURE(mode);
      on_each_backend([&](Loop& loop) {
        Listener listener(family, mode, family == AF_UNIX ? unix_backlog : tcp_backlog);
        check(loop, listener, mode);
      });
    }
}

struct SocketPair {
  explicit SocketPair(int type = SOCK_STREAM) {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0);
    one = Fd(fds[0]);
    two = Fd(fds[1]);
  }
  Fd one, two;
};

Task<int> accept_one(int listener) { co_return co_await io::accept(listener); }
Task<> connect_to(int fd, Listener& to) { co_await io::connect(fd, to.address(), to.length); }
Task<std::string> receive(int fd, std::size_t n, int flags = 0) {
  std::string text(n, '.');
  text.resize(co_await io::recv(fd, bytes_of(text), flags));
  co_return text;
}
Task<std::size_t> send_text(int fd, std::string text, int flags = 0) {
  co_return co_await io::send(fd, bytes_of(std::as_const(text)), flags);
}

}  // namespace

TEST_CASE("a connection is accepted, carries bytes both ways, and ends with 0 bytes") {
  on_each_kind([](Loop& loop, Listener& listener, int mode) {
    const Fd client = listener.client(mode);
    auto later = [](int fd, Listener& to) -> Task<> {
      co_await sleep_for(10ms);
      co_await io::connect(fd, to.address(), to.length);
    };
    auto [accepted, none] =
        run_task(loop, when_all(accept_one(listener.fd.get()), later(client.get(), listener)));
    Fd server(accepted);
    CHECK((::fcntl(server.get(), F_GETFD) & FD_CLOEXEC) != 0);
    auto answer = [](int fd) -> Task<> {
      const std::string question = co_await receive(fd, 100);
      co_await send_text(fd, "answer to " + question);
    };
    auto ask = [](int fd) -> Task<std::string> {
      co_await send_text(fd, "question");
      co_return co_await receive(fd, 100);
    };
    CHECK(std::get<0>(run_task(loop, when_all(ask(client.get()), answer(server.get())))) ==
          "answer to question");
    server.reset();
    CHECK(run_task(loop, receive(client.get(), 10)).empty());
    CHECK_FALSE(loop.in_flight());
  });
}

TEST_CASE("accept gives the peer's address and takes flags") {
  on_each_backend([](Loop& loop) {
    Listener listener(AF_INET, 0, 16);
    const Fd client = listener.client();
    auto task = [](int fd, Listener& from) -> Task<std::pair<int, sockaddr_in>> {
      co_await io::connect(fd, from.address(), from.length);
      sockaddr_in peer{};
      socklen_t length = sizeof peer;
      const int accepted = co_await io::accept(from.fd.get(), reinterpret_cast<sockaddr*>(&peer),
                                               &length, SOCK_NONBLOCK);
      co_return std::pair(accepted, peer);
    };
    const auto [fd, peer] = run_task(loop, task(client.get(), listener));
    const Fd server(fd);
    sockaddr_in own{};
    socklen_t length = sizeof own;
    REQUIRE(::getsockname(client.get(), reinterpret_cast<sockaddr*>(&own), &length) == 0);
    CHECK(peer.sin_port == own.sin_port);
    CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0);
    // The client's own mode is as it was.
    CHECK((::fcntl(client.get(), F_GETFL) & O_NONBLOCK) == 0);
  });
}

TEST_CASE("120 connections at once are all made, also through a short queue") {
  on_each_kind(
      [](Loop& loop, Listener& listener, int mode) {
        constexpr int n = 120;
        std::vector<Fd> clients;
        std::vector<Task<>> connects;
        for (int i = 0; i < n; ++i) {
          clients.push_back(listener.client(mode));
          connects.push_back(connect_to(clients.back().get(), listener));
        }
        auto accept_all = [](int fd, std::vector<Fd>& to) -> Task<> {
          co_await sleep_for(5ms);
          for (int i = 0; i < n; ++i) to.emplace_back(co_await io::accept(fd));
        };
        std::vector<Fd> servers;
        run_task(loop,
                 when_all(when_all(std::move(connects)), accept_all(listener.fd.get(), servers)));
        CHECK(servers.size() == n);
      },
      4);
}

TEST_CASE("a connection that nobody takes is refused") {
  on_each_backend([](Loop& loop) {
    for (const int mode : {0, int(SOCK_NONBLOCK)}) {
      Listener gone(AF_INET, 0, 1);
      gone.fd.reset();
      const Fd client = gone.client(mode);
      CHECK(error_of(loop, connect_to(client.get(), gone)) == ECONNREFUSED);
      Listener none(AF_UNIX, 0, 1);
      none.fd.reset();
      const Fd local = none.client(mode);
      CHECK(error_of(loop, connect_to(local.get(), none)) == ECONNREFUSED);
    }
    CHECK(error_of(loop, accept_one(987'654)) == EBADF);
    TemporaryFile file;
    CHECK(error_of(loop, receive(file.fd.get(), 1)) == ENOTSOCK);
    const Fd unbound(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK(error_of(loop, accept_one(unbound.get())) == EINVAL);
    CHECK(error_of(loop, receive(unbound.get(), 1)) == ENOTCONN);
    CHECK_THROWS_AS((void)io::connect(0, nullptr, 129), std::invalid_argument);
  });
}

TEST_CASE("messages keep their bounds, and flags are the kernel's") {
  on_each_backend([](Loop& loop) {
    SocketPair pair(SOCK_SEQPACKET);
    CHECK(error_of(loop, receive(pair.one.get(), 10, MSG_DONTWAIT)) == EAGAIN);
    CHECK(run_task(loop, send_text(pair.one.get(), "first")) == 5);
    CHECK(run_task(loop, send_text(pair.one.get(), "second")) == 6);
    CHECK(run_task(loop, receive(pair.two.get(), 100, MSG_PEEK)) == "first");
    CHECK(run_task(loop, receive(pair.two.get(), 100)) == "first");
    CHECK(run_task(loop, receive(pair.two.get(), 3)) == "sec");  // the rest of a message is lost
    // As said: MSG_WAITALL does not wait.
    SocketPair stream;
    CHECK(run_task(loop, send_text(stream.one.get(), "abc")) == 3);
    CHECK(run_task(loop, receive(stream.two.get(), 10, MSG_WAITALL)) == "abc");
  });
}

TEST_CASE("send to nobody is EPIPE and no signal") {
  on_each_backend([](Loop& loop) {
    const auto before = std::signal(SIGPIPE, SIG_DFL);
    SocketPair pair;
    pair.two.reset();
    CHECK(error_of(loop, send_text(pair.one.get(), "x")) == EPIPE);
    std::signal(SIGPIPE, before);
  });
}

TEST_CASE("senders to a full socket wait, and do not stop the others") {
  on_each_backend([](Loop& loop) {
    SocketPair pair;
    constexpr std::size_t total = 3 << 20;
    auto send_all = [](int fd) -> Task<> {
      const std::string text(total, 's');
      std::size_t done = 0;
      while (done < total) done += co_await io::send(fd, bytes_of(text).subspan(done));
    };
    auto receive_all = [](int fd) -> Task<std::size_t> {
      std::size_t done = 0;
      while (done < total) done += (co_await receive(fd, 50'000)).size();
      co_return done;
    };
    CHECK(std::get<1>(run_task(
              loop, when_all(send_all(pair.one.get()), receive_all(pair.two.get())))) == total);
  });
}

TEST_CASE("cancelling ends a pending accept, connect, recv and send") {
  on_each_kind(
      [](Loop& loop, Listener& listener, int mode) {
        SocketPair pair(SOCK_STREAM | mode);
        const std::string filling(4 << 20, 'f');
        (void)::send(pair.two.get(), filling.data(), filling.size(), MSG_DONTWAIT);
        // The queue of a listener that nobody serves: it takes a few, and then no more.
        std::vector<Fd> clients;
        std::vector<std::unique_ptr<Run<void>>> connects;
        for (int i = 0; i < 6; ++i) {
          clients.push_back(listener.client(mode));
          connects.push_back(
              std::make_unique<Run<void>>(loop, connect_to(clients.back().get(), listener)));
        }
        Listener silent(AF_INET, mode, 4);
        Run accepting(loop, accept_one(silent.fd.get()));
        Run receiving(loop, receive(pair.one.get() /* holds bytes */, 1));
        while (!receiving.done()) receiving.step();
        SocketPair empty(SOCK_STREAM | mode);
        Run waiting(loop, receive(empty.one.get(), 1));
        Run sending(loop, send_text(pair.two.get(), std::string(1 << 20, 'g')));
        for (int i = 0; i < 20; ++i) {
          loop.run_ready(64);
          loop.poll();
        }
        CHECK_FALSE(accepting.done());
        CHECK_FALSE(waiting.done());
        CHECK_FALSE(sending.done());
        auto cancel = [&loop](auto& run) {
          loop.cancel(run.root());
          while (!run.done()) run.step(os::now_ns() + 1000 * ms);
        };
        int hanging = 0;
        for (const auto& connect : connects) {
          if (connect->done()) continue;
          ++hanging;
          cancel(*connect);
          CHECK_THROWS_AS(connect->take(), Cancelled);
        }
        CHECK(hanging > 0);
        cancel(accepting);
        cancel(waiting);
        cancel(sending);
        CHECK_THROWS_AS(accepting.take(), Cancelled);
        CHECK_THROWS_AS(waiting.take(), Cancelled);
        CHECK_THROWS_AS(sending.take(), Cancelled);
        CHECK_FALSE(loop.in_flight());
      },
      1, 1);
}

TEST_CASE("a connection accepted for a coroutine that is gone is closed") {
  on_each_backend([](Loop& loop) {
    for (int round = 0; round < 40; ++round) {
      Listener listener(AF_UNIX, 0, 16);
      const Fd client = listener.client();
      {
        Run accepting(loop, accept_one(listener.fd.get()));
        if (round % 2 == 0) turn_until_waiting(loop, accepting);
        REQUIRE(::connect(client.get(), listener.address(), listener.length) == 0);
        if (round % 2 == 1) loop.run_ready(1);
        for (int turn = 0; turn < round % 4; ++turn) loop.poll();
      }
      listener.fd.reset();
      // Nobody has the other end.
      char byte = 0;
      const ssize_t n = ::recv(client.get(), &byte, 1, MSG_DONTWAIT);
      CHECK((n == 0 || errno == ECONNRESET));
      CHECK_FALSE(loop.in_flight());
    }
  });
}

TEST_CASE("400 connections echo at once") {
  on_each_backend([](Loop& loop) {
    auto echo = [](int fd) -> Task<> {
      std::string text(64, '.');
      for (;;) {
        const std::size_t n = co_await io::recv(fd, bytes_of(text));
        if (n == 0) co_return;
        co_await io::write_all(fd, bytes_of(std::as_const(text)).first(n));
      }
    };
    auto ask = [](Fd& fd, int number) -> Task<int> {
      int right = 0;
      for (int i = 0; i < 5; ++i) {
        const std::string text = std::to_string(number * 10 + i);
        co_await io::write_all(fd.get(), bytes_of(text));
        std::string back(text.size(), '.');
        co_await io::read_exactly(fd.get(), bytes_of(back));
        right += back == text ? 1 : 0;
      }
      fd.reset();
      co_return right;
    };
    // As many as the limit of descriptors lets be.
    std::vector<std::unique_ptr<SocketPair>> pairs;
    std::vector<Task<>> servers;
    std::vector<Task<int>> clients;
    for (int i = 0; i < 400; ++i) {
      pairs.push_back(std::make_unique<SocketPair>());
      servers.push_back(echo(pairs.back()->two.get()));
      clients.push_back(ask(pairs.back()->one, i));
    }
    auto [right, ended] =
        run_task(loop, when_all(when_all(std::move(clients)), when_all(std::move(servers))));
    int sum = 0;
    for (const int each : right) sum += each;
    CHECK(sum == 400 * 5);
  });
}
