#include <doctest/doctest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "lib/os/clock.hpp"
#include "lib/os/cpu.hpp"
#include "lib/os/eventfd.hpp"
#include "lib/ring/bell.hpp"
#include "tests/support/skipped.hpp"
#include "tests/unit/child.hpp"
#include "tests/unit/duel.hpp"

using namespace pinion;
using namespace pinion::tests;
using ring::Bell;
using ring::Fencing;

namespace {

using Word = std::atomic<std::uint32_t>;

constexpr std::int64_t too_long_ns = 2'000'000'000;

/// Two sides that hand a ball to each other. Lies in memory that both share.
struct Court {
  struct Side {
    alignas(128) Word bell{0};
    alignas(128) std::atomic<std::uint64_t> ball{0};  // throws so far; its only writer is this side
  };
  std::array<Side, 2> sides;
};

struct Played {
  std::uint64_t slept = 0;
  std::uint64_t rung = 0;  // system calls that woke the other
  bool lost = false;       // a wait was longer than any can be
};

class Player {
 public:
  Player(Court& court, unsigned me, Bell::Where place, const std::array<os::Fd, 2>& eventfds,
         Fencing fencing)
      : mine_(&court.sides[me].bell, eventfds[me].get(), fencing),
        theirs_(&court.sides[1 - me].bell, eventfds[1 - me].get(), fencing),
        own_ball_(court.sides[me].ball),
        their_ball_(court.sides[1 - me].ball),
        place_(place),
        first_(me == 0),
        random_(me) {}

  Played play(std::uint64_t rounds) {
    for (std::uint64_t n = 1; n <= rounds && !played_.lost; ++n) {
      if (!first_) await(n);
      pause();
      own_ball_.store(n, std::memory_order_release);
      played_.rung += theirs_.ring() ? 1 : 0;
      if (first_) await(n);
    }
    return played_;
  }

 private:
  [[nodiscard]] bool there(std::uint64_t n) const {
    return their_ball_.load(std::memory_order_acquire) >= n;
  }
  void pause() {
    for (auto n = random_() % 400; n > 200; --n) os::pause();
  }
  void await(std::uint64_t n) {
    for (auto spins = random_() % 600; spins > 300; --spins) {
      if (there(n)) return;
      os::pause();
    }
    const std::int64_t begin = os::now_ns();
    while (!there(n)) {
      const std::uint32_t parked = mine_.park(place_);
      if (!there(n)) sleep(parked, begin + too_long_ns);
      mine_.leave(parked);
      if (os::now_ns() - begin < too_long_ns) continue;
      played_.lost = true;  // found or not: a bell should have told it
      return;
    }
  }
  void sleep(std::uint32_t parked, std::int64_t deadline_ns) {
    ++played_.slept;
    if (place_ == Bell::on_futex) return mine_.sleep(parked, deadline_ns);
    pollfd p{mine_.eventfd(), POLLIN, 0};
    if (::poll(&p, 1, static_cast<int>(too_long_ns / 1'000'000)) == 1) {
      os::drain_eventfd(mine_.eventfd());
    }
  }

  Bell mine_;
  Bell theirs_;
  std::atomic<std::uint64_t>& own_ball_;
  const std::atomic<std::uint64_t>& their_ball_;
  Bell::Where place_;
  bool first_;
  std::minstd_rand random_;
  Played played_;
};

void expect_no_loss(std::uint64_t rounds, Bell::Where one, Bell::Where two, Fencing fencing) {
  Court court;
  const std::array<os::Fd, 2> eventfds{os::make_eventfd(), os::make_eventfd()};
  Played there;
  std::thread other([&] { there = Player(court, 1, two, eventfds, fencing).play(rounds); });
  const Played here = Player(court, 0, one, eventfds, fencing).play(rounds);
  other.join();
  CHECK_FALSE(here.lost);
  CHECK_FALSE(there.lost);
  CHECK(court.sides[0].ball == rounds);
  CHECK(court.sides[1].ball == rounds);
  // Both ways of waiting were met, or nothing was tested.
  CHECK(here.slept > 0);
  CHECK(there.slept > 0);
  CHECK(here.rung > 0);
  CHECK(here.rung < rounds);
  CHECK(there.rung < rounds);
}

std::string name_of(Fencing fencing) {
  return fencing == Fencing::asymmetric ? "asymmetric" : "symmetric";
}

std::vector<Fencing> kinds() {
  if (os::register_membarrier()) return {Fencing::asymmetric, Fencing::symmetric};
  checks::skip("membarrier is not here, so bells use fences only");
  return {Fencing::symmetric};
}

}  // namespace

TEST_CASE("of one who parks and one who publishes at once, either sees the other") {
  for (const Fencing fencing : kinds()) {
    CAPTURE(name_of(fencing));
    Court court;
    Word& word = court.sides[0].bell;
    auto& ball = court.sides[0].ball;
    Bell sleeper(&word, -1, fencing);
    Bell waker(&word, -1, fencing);
    bool saw = false;
    bool rang = false;
    std::uint64_t lost = 0;
    std::uint64_t found = 0;
    const auto park = [&](std::uint64_t n) {
      static_cast<void>(ball.load(std::memory_order_relaxed));  // has it in its cache
      const std::uint32_t parked = sleeper.park(Bell::on_futex);
      saw = ball.load(std::memory_order_acquire) == n;
      if (saw) sleeper.leave(parked);
    };
    const auto publish = [&](std::uint64_t n) {
      static_cast<void>(word.load(std::memory_order_relaxed));
      ball.store(n, std::memory_order_release);
      rang = waker.ring();
    };
    Duel().fight(20'000, park, publish, [&](std::uint64_t) {
      lost += !saw && !rang ? 1 : 0;
      found += saw ? 1 : 0;
      if (sleeper.where() != Bell::awake) waker.ring();
    });
    CHECK(lost == 0);
    CHECK(found > 0);
  }
}

TEST_CASE("no wake is lost between two threads that park at every turn") {
  for (const Fencing fencing : kinds()) {
    CAPTURE(name_of(fencing));
    expect_no_loss(100'000, Bell::on_futex, Bell::on_futex, fencing);
  }
}

TEST_CASE("no wake is lost where one side sleeps in its loop") {
  for (const Fencing fencing : kinds()) {
    CAPTURE(name_of(fencing));
    expect_no_loss(30'000, Bell::in_loop, Bell::on_futex, fencing);
  }
}

TEST_CASE("no wake is lost between two processes (edge case 61)") {
  constexpr std::uint64_t rounds = 50'000;
  for (const Fencing fencing : kinds()) {
    CAPTURE(name_of(fencing));
    void* const memory =
        ::mmap(nullptr, sizeof(Court), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    Court& court = *new (memory) Court;
    const std::array<os::Fd, 2> eventfds{os::make_eventfd(), os::make_eventfd()};
    std::fflush(nullptr);
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      ::alarm(60);
      if (fencing == Fencing::asymmetric && !os::register_membarrier()) ::_exit(2);
      const Played there = Player(court, 1, Bell::on_futex, eventfds, fencing).play(rounds);
      ::_exit(there.lost || there.slept == 0 ? 1 : 0);
    }
    const Played here = Player(court, 0, Bell::on_futex, eventfds, fencing).play(rounds);
    int status = -1;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    CHECK(status == 0);
    CHECK_FALSE(here.lost);
    CHECK(here.slept > 0);
    ::munmap(memory, sizeof(Court));
  }
}

TEST_CASE("of several wakers one makes the system call") {
  Word word{0};
  Bell bell(&word, -1, Fencing::symmetric);
  constexpr int rounds = 3000;
  std::atomic<int> round{0};
  std::atomic<int> rung{0};
  std::atomic<int> ready{0};
  std::vector<std::thread> wakers;
  for (int i = 0; i < 3; ++i) {
    wakers.emplace_back([&] {
      Bell own(&word, -1, Fencing::symmetric);
      for (int n = 1; n <= rounds; ++n) {
        while (round.load() < n) std::this_thread::yield();
        if (own.ring()) ++rung;
        ++ready;
      }
    });
  }
  int wrong = 0;
  for (int n = 1; n <= rounds; ++n) {
    const std::uint32_t parked = bell.park(Bell::on_futex);
    round = n;
    bell.sleep(parked, os::now_ns() + too_long_ns);
    while (ready.load() < 3 * n) std::this_thread::yield();
    wrong += rung.load() == n && bell.rung(parked) && !bell.leave(parked) ? 0 : 1;
  }
  for (auto& waker : wakers) waker.join();
  CHECK(wrong == 0);
}

TEST_CASE("a sleeper that is awake is not rung") {
  Word word{0};
  const os::Fd eventfd = os::make_eventfd();
  Bell bell(&word, eventfd.get(), Fencing::symmetric);
  CHECK(bell.where() == Bell::awake);
  CHECK_FALSE(bell.ring());
  CHECK_FALSE(bell.ring(true));
  CHECK(word == 0);
}

TEST_CASE("a waker that finds the other awake makes no system call") {
  const int status = in_child([] {
    Word word{0};
    Bell bell(&word, -1, Fencing::symmetric);
    bell.leave(bell.park(Bell::on_futex));
    const std::uint32_t full = bell.park(Bell::full);
    // Without the calls by which a sleeper could be woken.
    sock_filter rule[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    install_filter(rule);
    if (bell.ring()) return 1;  // it is full
    bell.leave(full);
    return bell.ring() || bell.ring(true) ? 2 : 0;
  });
  if (status == not_allowed)
    checks::skip("seccomp filters are not allowed here");
  else
    CHECK(status == 0);
}

TEST_CASE("a sleeper is rung once, where it sleeps") {
  const os::Fd eventfd = os::make_eventfd();
  const auto told = [&] {
    pollfd p{eventfd.get(), POLLIN, 0};
    const bool readable = ::poll(&p, 1, 0) == 1;
    os::drain_eventfd(eventfd.get());
    return readable;
  };
  Word word{0};
  Bell sleeper(&word, eventfd.get(), Fencing::symmetric);
  Bell waker(&word, eventfd.get(), Fencing::symmetric);

  std::uint32_t parked = sleeper.park(Bell::on_futex);
  CHECK(sleeper.where() == Bell::on_futex);
  CHECK_FALSE(sleeper.rung(parked));
  CHECK(waker.ring());
  CHECK_FALSE(waker.ring());
  CHECK(sleeper.rung(parked));
  CHECK(sleeper.where() == Bell::awake);
  CHECK_FALSE(sleeper.leave(parked));
  CHECK_FALSE(told());

  parked = sleeper.park(Bell::in_loop);
  CHECK(waker.ring());
  CHECK(told());
  CHECK_FALSE(sleeper.leave(parked));

  parked = sleeper.park(Bell::full);
  CHECK_FALSE(waker.ring());
  CHECK_FALSE(told());
  CHECK_FALSE(sleeper.rung(parked));
  CHECK(waker.ring(true));
  CHECK(told());
  CHECK(sleeper.rung(parked));
}

TEST_CASE("a sleeper that leaves by itself is not rung any more") {
  Word word{0};
  Bell bell(&word, -1, Fencing::symmetric);
  for (const auto place : {Bell::on_futex, Bell::in_loop, Bell::full}) {
    const std::uint32_t parked = bell.park(place);
    CHECK(bell.leave(parked));
    CHECK(bell.where() == Bell::awake);
    CHECK_FALSE(bell.leave(parked));
    CHECK_FALSE(bell.ring(true));
  }
}

TEST_CASE("each sleep has a word of its own, also when the count begins anew") {
  for (const std::uint32_t begin : {0U, 0xffff'fff8U, 0x7fff'fffcU}) {
    Word word{begin};
    Bell bell(&word, -1, Fencing::symmetric);
    std::uint32_t before = bell.park(Bell::on_futex);
    for (int i = 0; i < 8; ++i) {
      CHECK(bell.ring());
      const std::uint32_t parked = bell.park(Bell::on_futex);
      CHECK(parked != before);
      CHECK(bell.rung(before));
      CHECK_FALSE(bell.leave(before));  // a sleep of before ends nothing
      CHECK_FALSE(bell.rung(parked));
      before = parked;
    }
  }
}

TEST_CASE("a sleeper does not sleep on a word of before, and not beyond its deadline") {
  Word word{0};
  Bell bell(&word, -1, Fencing::symmetric);
  const std::uint32_t old = bell.park(Bell::on_futex);
  CHECK(bell.ring());
  std::int64_t begin = os::now_ns();
  bell.sleep(old, begin + too_long_ns);
  CHECK(os::now_ns() - begin < too_long_ns / 2);
  const std::uint32_t parked = bell.park(Bell::on_futex);
  begin = os::now_ns();
  bell.sleep(parked, begin + 20'000'000);
  const std::int64_t slept = os::now_ns() - begin;
  CHECK(slept >= 19'000'000);
  CHECK(slept < too_long_ns);
}
