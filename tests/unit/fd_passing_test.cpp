#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <vector>

#include "lib/os/clock.hpp"
#include "lib/os/eventfd.hpp"
#include "lib/os/fd_passing.hpp"
#include "tests/unit/child.hpp"

using namespace pinion;
using namespace pinion::tests;

namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

struct Message {
  std::string text;
  std::vector<os::Fd> fds;
};

Message receive(int socket, std::int64_t limit_ns = 5'000'000'000) {
  std::array<std::byte, 100> buffer{};
  os::Received received = os::receive_message(socket, buffer, os::now_ns() + limit_ns);
  return {std::string(reinterpret_cast<const char*>(buffer.data()), received.bytes),
          std::move(received.fds)};
}

template <class Call>
int error_of(Call call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

bool same_file(int a, int b) {
  struct stat one {};
  struct stat two {};
  return ::fstat(a, &one) == 0 && ::fstat(b, &two) == 0 && one.st_ino == two.st_ino &&
         one.st_dev == two.st_dev;
}

}  // namespace

TEST_CASE("messages keep their bounds and their order") {
  const auto [a, b] = os::make_socket_pair();
  os::send_message(a.get(), bytes_of("first"), {});
  os::send_message(a.get(), bytes_of("2nd"), {});
  CHECK(receive(b.get()).text == "first");
  const Message second = receive(b.get());
  CHECK(second.text == "2nd");
  CHECK(second.fds.empty());
  os::send_message(b.get(), bytes_of("back"), {});
  CHECK(receive(a.get()).text == "back");
}

TEST_CASE("descriptors arrive in their order, as new ones that close on exec") {
  const auto [a, b] = os::make_socket_pair();
  std::vector<os::Fd> files;
  std::vector<int> numbers;
  for (std::size_t i = 0; i < os::passed_fds_max; ++i) {
    files.emplace_back(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    REQUIRE(files.back().get() >= 0);
    numbers.push_back(files.back().get());
  }
  os::send_message(a.get(), bytes_of("files"), numbers);
  const Message message = receive(b.get());
  CHECK(message.text == "files");
  REQUIRE(message.fds.size() == os::passed_fds_max);
  for (std::size_t i = 0; i < os::passed_fds_max; ++i) {
    CHECK(message.fds[i].get() != numbers[i]);
    CHECK(same_file(message.fds[i].get(), numbers[i]));
    CHECK(::fcntl(message.fds[i].get(), F_GETFD) == FD_CLOEXEC);
  }
}

TEST_CASE("a descriptor reaches another process") {
  const auto [a, b] = os::make_socket_pair();
  CHECK(in_child([&, &socket = b] {
          const os::Fd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
          if (::pwrite(file.get(), "written there", 13, 0) != 13) return 1;
          os::send_message(socket.get(), bytes_of("file"), std::array{file.get()});
          return 0;
        }) == 0);
  const Message message = receive(a.get());  // the child is gone, its file is not
  REQUIRE(message.fds.size() == 1);
  std::string text(13, '.');
  CHECK(::pread(message.fds[0].get(), text.data(), 13, 0) == 13);
  CHECK(text == "written there");
}

TEST_CASE("the other side's end is a message of no bytes, or an error for who sends") {
  auto [a, b] = os::make_socket_pair();
  a.reset();
  const Message end = receive(b.get());
  CHECK(end.text.empty());
  CHECK(end.fds.empty());
  CHECK(error_of([&, &socket = b] { os::send_message(socket.get(), bytes_of("x"), {}); }) == EPIPE);
}

TEST_CASE("waiting for a message ends at the deadline") {
  const auto [a, b] = os::make_socket_pair();
  const std::int64_t begin = os::now_ns();
  CHECK(error_of([&, &socket = b] { receive(socket.get(), 30'000'000); }) == ETIMEDOUT);
  CHECK(os::now_ns() - begin >= 30'000'000);
  CHECK(os::now_ns() - begin < 3'000'000'000);
  CHECK(error_of([&, &socket = b] { receive(socket.get(), -1); }) == ETIMEDOUT);  // only looks
  os::send_message(a.get(), bytes_of("x"), {});
  CHECK(receive(b.get(), -1).text == "x");
}

TEST_CASE("descriptors that nobody takes out of a message are closed") {
  const auto lowest_free = [] {
    const os::Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    return fd.get();
  };
  const auto [a, b] = os::make_socket_pair();
  const os::Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int before = lowest_free();
  for (int i = 0; i < 100; ++i) {
    os::send_message(a.get(), bytes_of("x"), std::array{file.get(), file.get()});
    CHECK(receive(b.get()).fds.size() == 2);
  }
  CHECK(lowest_free() == before);
}

TEST_CASE("the pair lies above the numbers of the user's descriptors") {
  const auto [a, b] = os::make_socket_pair();
  CHECK(a.get() >= os::descriptor_floor());
  CHECK(b.get() >= os::descriptor_floor());
  CHECK(::fcntl(a.get(), F_GETFD) == FD_CLOEXEC);
}
