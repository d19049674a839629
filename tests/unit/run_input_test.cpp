#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "tools/pinion/errors.hpp"
#include "tools/pinion/input_source.hpp"
#include "tools/pinion/options.hpp"
#include "tools/pinion/progress_bar.hpp"

using namespace pinion::command;

namespace {

using Words = std::vector<std::string>;
using Next = InputSource::Next;

Descriptor file_with(const std::string& text) {
  Descriptor file(::memfd_create("input", MFD_CLOEXEC));
  REQUIRE(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  REQUIRE(::lseek(file.get(), 0, SEEK_SET) == 0);
  return file;
}

std::vector<Words> all_of(InputSource& source) {
  std::vector<Words> all;
  Words arguments;
  while (source.next(arguments) == Next::item) all.push_back(arguments);
  return all;
}

Words lines_of(const std::string& text, char delimiter = '\n') {
  Lines lines(file_with(text), "input", delimiter);
  Words all;
  for (const Words& arguments : all_of(lines)) {
    REQUIRE(arguments.size() == 1);
    all.push_back(arguments.front());
  }
  return all;
}

struct Pipe {
  Pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
  }
  void put(const std::string& text) const {
    REQUIRE(::write(write_end.get(), text.data(), text.size()) ==
            static_cast<ssize_t>(text.size()));
  }
  Descriptor read_end, write_end;
};

RunOptions run_options(const Words& arguments) { return parse_run(arguments).options; }

}  // namespace

TEST_CASE("lists combine so that the last varies fastest") {
  ArgumentLists lists({{"a", "b"}, {"1", "2", "3"}});
  CHECK(lists.total() == 6);
  CHECK(all_of(lists) ==
        std::vector<Words>{{"a", "1"}, {"a", "2"}, {"a", "3"}, {"b", "1"}, {"b", "2"}, {"b", "3"}});
  CHECK(lists.position() == "argument 6");
}

TEST_CASE("texts are shown in one line that does nothing to a terminal") {
  CHECK(printable("a b~\"\\") == "a b~\"\\");
  CHECK(printable(std::string_view("a\0b\n\r\t\x1b[31m\x7f", 12)) ==
        "a\\0b\\n\\r\\t\\x1b[31m\\x7f");
  for (const char* text : {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(printable(text) == text);
  }
  CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");  // a control character
  CHECK(printable("\xc0\xaf") == "\\xc0\\xaf");  // longer than need be
  CHECK(printable("\xe0\x80\xaf") == "\\xe0\\x80\\xaf");
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");  // half of a pair
  CHECK(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
  CHECK(printable("\xf5"
                  "a\xff\xe2\x82") ==
        "\\xf5"
        "a\\xff\\xe2\\x82");
}

TEST_CASE("texts are cut between characters") {
  CHECK(printable("12345678", 8) == "12345678");
  CHECK(printable("123456789", 8) == "12345...");
  CHECK(printable(std::string(300'000, 'x'), 200) == std::string(197, 'x') + "...");
  CHECK(printable("1234\xc3\xa9"
                  "789",
                  8) == "1234...");
  CHECK(printable("1234\n789", 8) == "1234...");
  CHECK(printable("", 8).empty());
}

TEST_CASE("an empty list gives no job") {
  ArgumentLists lists({{"a"}, {}});
  CHECK(lists.total() == 0);
  CHECK(all_of(lists).empty());
}

TEST_CASE("lines are given one by one, whole") {
  CHECK(lines_of("a\nb c\n\nd\n") == Words{"a", "b c", "", "d"});
  CHECK(lines_of("no newline at the end") == Words{"no newline at the end"});
  CHECK(lines_of("").empty());
  CHECK(lines_of("\n") == Words{""});
  CHECK(lines_of("a\nb", '\0') == Words{"a\nb"});
  CHECK(lines_of(std::string("a\0b\0", 4), '\0') == Words{"a", "b"});
  CHECK(lines_of(std::string("a\0b\n", 4)) == Words{std::string("a\0b", 3)});
}

TEST_CASE("lines may be longer than a block, up to a limit that is named") {
  const std::string longest(300'000, 'x');
  CHECK(lines_of(longest + "\n" + longest + "y") == Words{longest, longest + "y"});
  CHECK_THROWS_WITH_AS(lines_of("a\n" + std::string(Lines::line_bytes_max + 100'000, 'x')),
                       "line 2 of input is longer than 4 MiB", InputError);
}

TEST_CASE("a stream is not waited for") {
  Pipe pipe;
  Lines lines(std::move(pipe.read_end), "stream", '\n');
  Words arguments;
  CHECK(lines.next(arguments) == Next::pending);
  pipe.put("half");
  CHECK(lines.next(arguments) == Next::pending);
  pipe.put(" and half\nrest");
  CHECK(lines.next(arguments) == Next::item);
  CHECK(arguments == Words{"half and half"});
  CHECK(lines.position() == "line 1 of stream");
  CHECK(lines.next(arguments) == Next::pending);
  pipe.write_end.reset();
  CHECK(lines.next(arguments) == Next::item);
  CHECK(arguments == Words{"rest"});
  CHECK(lines.next(arguments) == Next::end);
  CHECK_FALSE(lines.is_finite());
  CHECK(lines.total() == std::nullopt);
}

TEST_CASE("the lines of a file can be counted beforehand") {
  Lines lines(file_with("a\nb\nc"), "input", '\n');
  CHECK(lines.total() == 3);
  CHECK(all_of(lines).size() == 3);
}

TEST_CASE("what cannot be read is named") {
  CHECK_THROWS_WITH_AS(Lines::open("/no/such/file", '\n'),
                       "cannot open /no/such/file: No such file or directory", InputError);
  CHECK_THROWS_WITH_AS(Lines::open("/tmp", '\n'), "/tmp is a directory", InputError);
  Lines broken(Descriptor(::open("/dev/null", O_WRONLY | O_CLOEXEC)), "input", '\n');
  Words arguments;
  CHECK_THROWS_AS(broken.next(arguments), InputError);
}

TEST_CASE("the options end at the command, whose options are its own") {
  const RunOptions options =
      run_options({"-j2", "-k", "ls", "-l", "-j", "--", "{}", ":::", "-a", "b", ":::", "c"});
  CHECK(options.jobs == 2);
  CHECK(options.keep_order);
  CHECK_FALSE(options.bar);
  CHECK(options.command == Words{"ls", "-l", "-j", "--", "{}"});
  CHECK(options.lists == std::vector<Words>{{"-a", "b"}, {"c"}});
}

TEST_CASE("commands may be called as subcommands and as options are") {
  CHECK(run_options({"topo", "run"}).command == Words{"topo", "run"});
  CHECK(run_options({"-k", "--", "-x", "y"}).command == Words{"-x", "y"});
  CHECK(run_options({":::", "echo a", "echo b"}).command.empty());
}

TEST_CASE("every option is understood") {
  const RunOptions options = run_options({"--jobs", "65536", "--joblog", "log", "--bar", "--places",
                                          "0-1", "-a", "file", "-0", "true"});
  CHECK(options.jobs == 65'536);
  CHECK(options.job_log == "log");
  CHECK(options.bar);
  CHECK(options.placement.places() == "0-1");
  CHECK(options.argument_file == "file");
  CHECK(options.delimiter == '\0');
  CHECK(run_options({"--places", "none"}).placement.is_none());
  CHECK(run_options({"--bind", "spread"}).placement.bind() == pinion::Bind::spread);
  CHECK(run_options({"--places", "0-1", "--bind", "primary"}).placement.bind() ==
        pinion::Bind::primary);
  CHECK(run_options({}).jobs == 0);
}

TEST_CASE("bad usage is refused with its reason") {
  CHECK_THROWS_AS(run_options({"-j", "0", "true"}), UsageError);
  CHECK_THROWS_WITH_AS(run_options({"-j", "x", "true"}),
                       "-j wants a number of jobs from 1 to 65536, not 'x'", UsageError);
  CHECK_THROWS_AS(run_options({"-j", "-1", "true"}), UsageError);
  CHECK_THROWS_AS(run_options({"-j", "2x", "true"}), UsageError);
  CHECK_THROWS_WITH_AS(run_options({"-j", "65537", "true"}),
                       "-j 65537: at most 65536 jobs run at once", UsageError);
  CHECK_THROWS_AS(run_options({"-j", "99999999999999999999", "true"}), UsageError);
  CHECK_THROWS_WITH_AS(run_options({"--unknown", "true"}), "there is no option --unknown",
                       UsageError);
  CHECK_THROWS_WITH_AS(run_options({"--bind", "far", "true"}),
                       "--bind wants close, spread or primary, not 'far'", UsageError);
  CHECK_THROWS_AS(run_options({"-a"}), UsageError);
  CHECK_THROWS_AS(run_options({"-a", "file", "true", ":::", "a"}), UsageError);
  CHECK_THROWS_AS(run_options({"true", "::::", "file"}), UsageError);
  CHECK_THROWS_AS((void)parse_topo({"extra"}), UsageError);
}

TEST_CASE("help is a text that fits a screen") {
  for (const auto& help : {parse_run({"--help"}).help, parse_topo({"-h"}).help}) {
    REQUIRE(help.has_value());
    std::size_t lines = 0, columns = 0;
    for (std::size_t at = 0, end = 0; (end = help->find('\n', at)) != std::string::npos;
         at = end + 1) {
      ++lines;
      columns = std::max(columns, end - at);
    }
    CHECK(lines <= 24);
    CHECK(columns <= 80);
  }
}

TEST_CASE("the bar tells what is known") {
  CHECK(progress_text({.done = 25, .total = 100, .elapsed = 5}, 30) == "25/100 25% 5.0/s ETA 0:15");
  CHECK(progress_text({.done = 25, .failed = 2, .total = 100, .elapsed = 5}, 80) ==
        "[##########..............................] 25/100 25% 5.0/s ETA 0:15 2 failed");
  CHECK(progress_text({.done = 10, .elapsed = 4000}, 80) == "10 done 0.0/s 1:06:40");
  CHECK(progress_text({.done = 0, .total = 7, .elapsed = 0}, 80) ==
        "[........................................] 0/7 0% 0.0/s");
  CHECK(progress_text({.done = 7, .total = 7, .elapsed = 1}, 5).size() == 5);
}
