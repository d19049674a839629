// Start methods: which one a pool gets, and what each is for.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <future>
#include <iterator>
#include <string>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;
using pinion::StartMethod;

namespace {

int square(int x) { return x * x; }
int counter = 0;  // of this program's copy
int count_up(int) { return ++counter; }
int value_of_counter(int) { return counter; }

/// The arguments with which the nursery was started; empty where it was forked, or is not there.
std::string nursery_arguments() {
  const pid_t pid = child_named("pinion-nursery");
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  const std::size_t at = all.find("--pinion-start-as");
  return at == std::string::npos ? "" : all.substr(at);
}
bool is_started_anew() { return !nursery_arguments().empty(); }

/// Sets the process's default for a while.
class DefaultMethod {
 public:
  explicit DefaultMethod(StartMethod method) : before_(pinion::default_start_method()) {
    pinion::set_start_method(method);
  }
  DefaultMethod(const DefaultMethod&) = delete;
  DefaultMethod& operator=(const DefaultMethod&) = delete;
  ~DefaultMethod() { pinion::set_start_method(before_); }

 private:
  StartMethod before_;
};

}  // namespace

TEST_CASE("automatic is fork in a small program with one thread") {
  const DefaultMethod automatic(StartMethod::automatic);
  CheckedPool pool(1);
  CHECK(pool.apply(square, 3) == 9);
  CHECK(child_named("pinion-nursery") > 0);
  CHECK_FALSE(is_started_anew());
}

TEST_CASE("automatic is forkserver beside other threads, and with much memory") {
  const DefaultMethod automatic(StartMethod::automatic);
  {
    std::promise<void> over;
    std::thread other([&] { over.get_future().wait(); });
    CheckedPool pool(1);
    CHECK(pool.apply(square, 3) == 9);
    CHECK(is_started_anew());
    over.set_value();
    other.join();
  }
  std::vector<char> much(std::size_t{300} << 20, 'x');
  CheckedPool pool(1);
  CHECK(pool.apply(square, 4) == 16);
  CHECK(is_started_anew());
  CHECK(much.back() == 'x');
}

TEST_CASE("the process's default stands for automatic, and an option before it") {
  const DefaultMethod spawn(StartMethod::spawn);
  CHECK(pinion::default_start_method() == StartMethod::spawn);
  {
    CheckedPool pool(2);
    CHECK(pool.apply(square, 3) == 9);
    CHECK(child_named("pinion-nursery") == 0);
    CHECK(children().size() == 2);
  }
  CheckedPool pool(PoolOptions{.processes = 1, .start_method = StartMethod::fork});
  CHECK(pool.apply(square, 3) == 9);
  CHECK(child_named("pinion-nursery") > 0);
}

TEST_CASE(
    "workers by fork know what the program has done; started anew they begin at the front (edge "
    "case 63)") {
  counter = 40;
  for (const StartMethod method :
       {StartMethod::fork, StartMethod::forkserver, StartMethod::spawn}) {
    CAPTURE(static_cast<int>(method));
    CheckedPool pool(PoolOptions{.processes = 1, .start_method = method});
    const int begin = method == StartMethod::fork ? 40 : 0;
    CHECK(pool.apply(value_of_counter, 0) == begin);
    CHECK(pool.apply(count_up, 0) == begin + 1);
    CHECK(pool.apply(count_up, 0) == begin + 2);
  }
  CHECK(counter == 40);
}

TEST_CASE("what is started anew gets nothing of the program but 0, 1 and 2") {
  int fds[2];
  REQUIRE(::pipe(fds) == 0);  // not close-on-exec, on purpose
  const auto is_open = [](int fd) { return ::fcntl(fd, F_GETFD) >= 0; };
  for (const StartMethod method : {StartMethod::forkserver, StartMethod::spawn}) {
    CheckedPool pool(PoolOptions{.processes = 1, .start_method = method});
    const auto reads = [](int fd) {
      char byte = 0;
      return ::read(fd, &byte, 1) < 0 && errno == EBADF;
    };
    CHECK(pool.apply(reads, fds[0]));
    CHECK(pool.apply(is_open, 1));
  }
  ::close(fds[0]);
  ::close(fds[1]);
}

TEST_CASE("pools by all methods side by side") {
  CheckedPool forked(PoolOptions{.processes = 1, .start_method = StartMethod::fork});
  CheckedPool served(PoolOptions{.processes = 1, .start_method = StartMethod::forkserver});
  CheckedPool spawned(PoolOptions{.processes = 1, .start_method = StartMethod::spawn});
  for (int i = 0; i < 200; ++i) {
    auto a = forked.apply_async(square, i);
    auto b = served.apply_async(square, i);
    auto c = spawned.apply_async(square, i);
    CHECK((a.get() == i * i && b.get() == i * i && c.get() == i * i));
  }
}
