#include <doctest/doctest.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tools/pinion/copy_file.hpp"
#include "tools/pinion/errors.hpp"
#include "tools/pinion/job_log.hpp"
#include "tools/pinion/output.hpp"
#include "tools/pinion/spill.hpp"

using namespace pinion::command;

namespace {

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

struct TemporaryFile {
  TemporaryFile() {
    char name[] = "/tmp/pinion-test-XXXXXX";
    file.reset(::mkstemp(name));
    REQUIRE(file);
    path = name;
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { ::unlink(path.c_str()); }

  Descriptor file;
  std::string path;
};

// Standard output and standard error go into files while it lives.
class Redirected {
 public:
  Redirected() : saved_out_(::dup(1)), saved_err_(::dup(2)) {
    REQUIRE(::dup2(out.file.get(), 1) == 1);
    REQUIRE(::dup2(err.file.get(), 2) == 2);
  }
  Redirected(const Redirected&) = delete;
  Redirected& operator=(const Redirected&) = delete;
  ~Redirected() {
    ::dup2(saved_out_.get(), 1);
    ::dup2(saved_err_.get(), 2);
  }

  TemporaryFile out, err;

 private:
  Descriptor saved_out_, saved_err_;
};

Descriptor memory_file(const std::string& text) {
  Descriptor file(::memfd_create("text", MFD_CLOEXEC));
  REQUIRE(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  return file;
}

JobOutput output(std::string out, std::string err = "") {
  JobOutput result;
  result.out.text = std::move(out);
  result.err.text = std::move(err);
  return result;
}

}  // namespace

TEST_CASE("the log has GNU parallel's columns, spelling and widths") {
  CHECK(job_log_header() ==
        "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n");
  CHECK(job_log_line({.sequence = 1,
                      .start_time = 1795169222.8254,
                      .run_time = 0.0049,
                      .received = 4,
                      .exit_value = 0,
                      .signal = 0,
                      .command = "echo 'a b'"}) ==
        "1\t:\t1795169222.825\t     0.004\t0\t4\t0\t0\techo 'a b'\n");
  CHECK(job_log_line({.sequence = 12,
                      .start_time = 1,
                      .run_time = 123456.789,
                      .exit_value = 0,
                      .signal = 9,
                      .command = "x"}) == "12\t:\t1.000\t123456.789\t0\t0\t0\t9\tx\n");
}

TEST_CASE("a newline in a command becomes a NUL, so that a job is one line") {
  const std::string line = job_log_line({.sequence = 1, .command = "echo a\necho b"});
  CHECK(line.substr(line.rfind('\t') + 1) == std::string("echo a\0echo b\n", 14));
}

TEST_CASE("a NUL in a command, which was not run, is spelled out") {
  const std::string line =
      job_log_line({.sequence = 1, .command = std::string_view("echo a\0b", 8)});
  CHECK(line.substr(line.rfind('\t') + 1) == "echo a\\0b\n");
}

TEST_CASE("a log is emptied, begins with the header and holds what was flushed") {
  const TemporaryFile file;
  std::ofstream(file.path) << "what was here before";
  JobLog log(file.path);
  CHECK(text_of(file.path) == job_log_header());
  log.add({.sequence = 1, .command = "a"});
  log.add({.sequence = 2, .command = "b"});
  log.flush();
  CHECK(text_of(file.path) == job_log_header() + job_log_line({.sequence = 1, .command = "a"}) +
                                  job_log_line({.sequence = 2, .command = "b"}));
}

TEST_CASE("a log that cannot be written is refused at once") {
  CHECK_THROWS_WITH_AS(JobLog("/no/such/folder/log"),
                       "cannot write the job log /no/such/folder/log: No such file or directory",
                       WriteError);
  CHECK_THROWS_WITH_AS(JobLog("/dev/full"),
                       "cannot write the job log /dev/full: No space left on device", WriteError);
}

TEST_CASE("outputs are printed as they come, each job's whole, standard output first") {
  const Redirected to;
  Output printer(Output::Order::completion);
  printer.add(2, output("two\n", "two fails\n"));
  printer.add(1, output("one\n"));
  printer.flush();
  CHECK(text_of(to.out.path) == "two\none\n");
  CHECK(text_of(to.err.path) == "two fails\n");
}

TEST_CASE("in the order of the input, later outputs wait for earlier ones") {
  const Redirected to;
  Output printer(Output::Order::input);
  printer.add(3, output("three\n"));
  printer.add(2, output("two\n"));
  printer.flush();
  CHECK(text_of(to.out.path).empty());
  CHECK(printer.held_jobs() == 2);
  CHECK(printer.held_bytes() >= 10);
  printer.add(1, output("one\n"));
  printer.flush();
  CHECK(text_of(to.out.path) == "one\ntwo\nthree\n");
  CHECK(printer.held_jobs() == 0);
  CHECK(printer.held_bytes() == 0);
}

TEST_CASE("an output in a file is printed before the text that follows it") {
  const Redirected to;
  Output printer(Output::Order::input);
  JobOutput large = output("tail\n");
  large.out.file = memory_file("head and what is not meant");
  large.out.file_bytes = 5;
  printer.add(2, std::move(large));
  CHECK(printer.held_files() == 1);
  printer.add(1, output("one\n"));
  printer.flush();
  CHECK(printer.held_files() == 0);
  CHECK(text_of(to.out.path) == "one\nhead tail\n");
}

TEST_CASE("a full disk under the output is an error, and then all is discarded") {
  const Redirected to;
  const Descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  REQUIRE(::dup2(full.get(), 1) == 1);
  Output printer(Output::Order::completion);
  printer.add(1, output("one\n"));
  CHECK_THROWS_WITH_AS(printer.flush(), "cannot write to standard output: No space left on device",
                       WriteError);
  printer.add(2, output("two\n", "two fails\n"));
  printer.flush();
  CHECK(text_of(to.err.path).empty());
}

TEST_CASE("a file is copied also where the kernel cannot do it alone") {
  const std::string text(200'000, 'x');
  const Descriptor from = memory_file(text + "more");
  const TemporaryFile to;
  const Descriptor appending(::open(to.path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  CHECK(copy_file(from.get(), text.size(), appending.get()) == 0);
  CHECK(text_of(to.path) == text);
  CHECK(copy_file(from.get(), text.size(), to.file.get()) == 0);
  CHECK(text_of(to.path) == text);
  CHECK(copy_file(from.get(), text.size() + 5, to.file.get()) == EIO);
}

TEST_CASE("a file that a worker hands over is taken once, by job and stream") {
  SpillReceiver receiver;
  receiver.trust([](pid_t pid) { return pid == ::getpid(); });
  const int connection = spill_connection(receiver.address());
  CHECK(spill_connection(receiver.address()) == connection);
  const Descriptor first = memory_file("first"), second = memory_file("second");
  CHECK(send_spill(connection, {.sequence = 7, .stream = Stream::out}, first.get()) == 0);
  CHECK(send_spill(connection, {.sequence = 7, .stream = Stream::err}, second.get()) == 0);

  const Descriptor taken = receiver.take(7, Stream::err);
  REQUIRE(taken);
  CHECK(receiver.waiting() == 1);
  // What comes behind the one that is asked for stays where it is.
  const Descriptor third = memory_file("third");
  CHECK(send_spill(connection, {.sequence = 8, .stream = Stream::out}, third.get()) == 0);
  CHECK(send_spill(connection, {.sequence = 9, .stream = Stream::out}, third.get()) == 0);
  CHECK(receiver.take(8, Stream::out));
  CHECK(receiver.waiting() == 1);
  std::array<char, 16> text{};
  CHECK(::pread(taken.get(), text.data(), text.size(), 0) == 6);
  CHECK(std::string(text.data()) == "second");
  CHECK_FALSE(receiver.take(7, Stream::err));
  CHECK(receiver.take(7, Stream::out));
}

TEST_CASE("text that comes before the end of its job is received in its order") {
  SpillReceiver receiver;
  receiver.trust([](pid_t pid) { return pid == ::getpid(); });
  std::string all;
  receiver.on_text([&all](const SpillNote& note, std::string_view text) {
    CHECK(note.sequence == 7);
    CHECK(note.place == 3);
    CHECK(note.stream == Stream::err);
    all += text;
  });
  // A connection of its own: that of the process is another receiver's.
  const Descriptor sender(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const SpillAddress& to = receiver.address();
  REQUIRE(::connect(sender.get(), reinterpret_cast<const sockaddr*>(&to.address), to.length) == 0);
  const SpillNote note{.sequence = 7, .place = 3, .stream = Stream::err, .kind = SpillKind::text};
  CHECK(send_spill_text(sender.get(), note, "one ") == 0);
  CHECK(send_spill_text(sender.get(), note, std::string(spill_text_bytes_max, 'x')) == 0);
  receiver.receive_all();
  CHECK(all == "one " + std::string(spill_text_bytes_max, 'x'));
  std::vector<pollfd> watched;
  receiver.watch(watched);
  CHECK(watched.size() == 2);
  int sent = 0;
  while (send_spill_text(sender.get(), note, std::string(spill_text_bytes_max, 'y')) == 0) ++sent;
  CHECK(errno == EAGAIN);
  CHECK(sent > 0);
  all.clear();
  receiver.receive_all();
  CHECK(all == std::string(static_cast<std::size_t>(sent) * spill_text_bytes_max, 'y'));
}

TEST_CASE("whole lines of a running job are printed, the rest at its end") {
  const Redirected to;
  Output printer(Output::Order::completion);
  printer.add_part(1, "", Stream::out, "a1\na");
  printer.add_part(2, "t\t", Stream::out, "b1\nb");
  printer.add_part(1, "", Stream::err, "e1\n");
  printer.flush();
  CHECK(text_of(to.out.path) == "a1\nt\tb1\n");
  CHECK(text_of(to.err.path) == "e1\n");
  printer.add_part(1, "", Stream::out, "2\na3");
  printer.add(2, output("", "late\n"));
  printer.add(1, {});
  printer.flush();
  CHECK(text_of(to.out.path) == "a1\nt\tb1\na2\nt\tba3");
  CHECK(text_of(to.err.path) == "e1\nt\tlate\n");
}

TEST_CASE(
    "in the order of the input, lines of later jobs wait for their turn, in files if need be") {
  const Redirected to;
  Output printer(Output::Order::input);
  const std::string large(100'000, 'x');
  printer.add_part(2, "", Stream::out, large);
  printer.add_part(2, "", Stream::out, "\nrest");
  printer.add_part(3, "", Stream::out, "three\n");
  printer.flush();
  CHECK(text_of(to.out.path).empty());
  printer.add_part(1, "", Stream::out, "one\n");
  printer.flush();
  CHECK(text_of(to.out.path) == "one\n");
  printer.add(1, {});
  printer.flush();
  CHECK(text_of(to.out.path) == "one\n" + large + "\n");
  printer.add(3, {});
  printer.add(2, {});
  printer.flush();
  CHECK(text_of(to.out.path) == "one\n" + large + "\nrestthree\n");
}

TEST_CASE("a tag stands before each line") {
  const Redirected to;
  Output printer(Output::Order::completion);
  JobOutput tagged = output("x\ny\nz", "e\n");
  tagged.tag = "a b\t";
  tagged.out.file = memory_file("1\n2");
  tagged.out.file_bytes = 3;
  printer.add(1, std::move(tagged));
  printer.flush();
  CHECK(text_of(to.out.path) == "a b\t1\na b\t2x\na b\ty\na b\tz");
  CHECK(text_of(to.err.path) == "a b\te\n");
}

TEST_CASE("a stranger's file is not taken") {
  SpillReceiver receiver;
  receiver.trust([](pid_t) { return false; });
  const Descriptor stranger(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const SpillAddress& to = receiver.address();
  REQUIRE(::connect(stranger.get(), reinterpret_cast<const sockaddr*>(&to.address), to.length) ==
          0);
  const Descriptor file = memory_file("forged");
  CHECK(send_spill(stranger.get(), {.sequence = 1, .stream = Stream::out}, file.get()) == 0);
  CHECK_FALSE(receiver.take(1, Stream::out));
  CHECK(send_spill(stranger.get(), {.sequence = 1, .stream = Stream::out}, file.get()) != 0);
}

TEST_CASE("a spill file has no name, and a missing folder is an error") {
  const Descriptor file = make_spill_file();
  struct stat status {};
  REQUIRE(::fstat(file.get(), &status) == 0);
  CHECK(status.st_nlink == 0);
  REQUIRE(::setenv("TMPDIR", "/no/such/folder", 1) == 0);
  CHECK_THROWS_AS((void)make_spill_file(), std::system_error);
  ::unsetenv("TMPDIR");
}
