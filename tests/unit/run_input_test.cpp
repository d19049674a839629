#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/pinion/composed_source.hpp"
#include "tools/pinion/errors.hpp"
#include "tools/pinion/input_source.hpp"
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

TEST_CASE("files and words combine; all but the first are kept in memory") {
  const auto combine = [](const std::string& first, const Words& second, const std::string& third) {
    std::vector<std::unique_ptr<InputSource>> sources;
    sources.push_back(std::make_unique<Lines>(file_with(first), "first", '\n'));
    sources.push_back(std::make_unique<ArgumentLists>(std::vector<Words>{second}));
    sources.push_back(std::make_unique<Lines>(file_with(third), "third", '\n'));
    return std::make_unique<Combination>(std::move(sources));
  };
  const auto source = combine("a\nb\n", {"1", "2"}, "x\ny");
  CHECK(source->total() == 8);
  CHECK(source->is_finite());
  CHECK(all_of(*source) == std::vector<Words>{{"a", "1", "x"},
                                              {"a", "1", "y"},
                                              {"a", "2", "x"},
                                              {"a", "2", "y"},
                                              {"b", "1", "x"},
                                              {"b", "1", "y"},
                                              {"b", "2", "x"},
                                              {"b", "2", "y"}});
  CHECK(source->position() == "line 2 of first");
  const auto empty = combine("a\nb\n", {"1"}, "");
  CHECK(all_of(*empty).empty());
  CHECK(empty->nothing() == "third is empty");
}

TEST_CASE("a combination does not wait for the stream that it needs next") {
  Pipe outer, inner;
  std::vector<std::unique_ptr<InputSource>> sources;
  const int outer_end = outer.read_end.get(), inner_end = inner.read_end.get();
  sources.push_back(std::make_unique<Lines>(std::move(outer.read_end), "outer", '\n'));
  sources.push_back(std::make_unique<Lines>(std::move(inner.read_end), "inner", '\n'));
  Combination source(std::move(sources));
  Words arguments;
  inner.put("1\n");
  CHECK(source.next(arguments) == Next::pending);
  CHECK(source.descriptor() == inner_end);
  inner.write_end.reset();
  CHECK(source.next(arguments) == Next::pending);
  CHECK(source.descriptor() == outer_end);
  CHECK_FALSE(source.is_finite());
  outer.put("a\nb\n");
  CHECK(source.next(arguments) == Next::item);
  CHECK(arguments == Words{"a", "1"});
  CHECK(source.next(arguments) == Next::item);
  CHECK(arguments == Words{"b", "1"});
  CHECK(source.next(arguments) == Next::pending);
}

TEST_CASE("lines are cut into columns") {
  const auto columns = [](const std::string& line, const std::string& separator) {
    Columns source(std::make_unique<ArgumentLists>(std::vector<Words>{{line}}), separator);
    Words arguments;
    CHECK(source.next(arguments) == Next::item);
    return arguments;
  };
  CHECK(columns("a,b,,", ",") == Words{"a", "b", "", ""});
  CHECK(columns(" a b , c ", ",") == Words{"a b", "c"});
  CHECK(columns("", ",") == Words{""});
  CHECK(columns("a1b22c", "[0-9]+") == Words{"a", "b", "c"});
  CHECK(columns("a\tb", "\\t") == Words{"a", "b"});
  CHECK(columns("a  b", "\\s+") == Words{"a", "b"});
  CHECK(columns("ab", "x*") == Words{"ab"});  // an empty match separates nothing
  CHECK(columns("a|b", "\\|") == Words{"a", "b"});
  CHECK_THROWS_AS(columns("a", "["), UsageError);
}

TEST_CASE("a pattern that would take for ever on a line is refused, and not the stack's end") {
  Columns source(std::make_unique<ArgumentLists>(std::vector<Words>{{std::string(1'000'000, 'a')}}),
                 "(a*)*(a*)*(a*)*b");
  Words arguments;
  CHECK_THROWS_AS(source.next(arguments), InputError);
}

TEST_CASE("several items make one job, the last gets what is left") {
  const auto grouped = [](std::uint64_t count, const Words& words) {
    Grouped source(std::make_unique<ArgumentLists>(std::vector<Words>{words}), count);
    const auto total = source.total();
    const std::vector<Words> all = all_of(source);
    CHECK(total == all.size());
    return all;
  };
  CHECK(grouped(2, {"a", "b", "c"}) == std::vector<Words>{{"a", "b"}, {"c"}});
  CHECK(grouped(3, {"a", "b", "c"}) == std::vector<Words>{{"a", "b", "c"}});
  CHECK(grouped(1, {"a", "b"}) == std::vector<Words>{{"a"}, {"b"}});
  CHECK(grouped(0, {"a", "b"}) == std::vector<Words>{{}, {}});
  CHECK(grouped(5, {}).empty());
}

TEST_CASE("a group that is not full waits for the rest of the stream") {
  Pipe pipe;
  Grouped source(std::make_unique<Lines>(std::move(pipe.read_end), "stream", '\n'), 2);
  Words arguments;
  pipe.put("a\n");
  CHECK(source.next(arguments) == Next::pending);
  pipe.put("b\nc\n");
  CHECK(source.next(arguments) == Next::item);
  CHECK(arguments == Words{"a", "b"});
  CHECK(source.next(arguments) == Next::pending);
  pipe.write_end.reset();
  CHECK(source.next(arguments) == Next::item);
  CHECK(arguments == Words{"c"});
  CHECK(source.next(arguments) == Next::end);
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

TEST_CASE("the bar tells what is known") {
  CHECK(progress_text({.done = 25, .total = 100, .elapsed = 5}, 30) == "25/100 25% 5.0/s ETA 0:15");
  CHECK(progress_text({.done = 25, .failed = 2, .total = 100, .elapsed = 5}, 80) ==
        "[##########..............................] 25/100 25% 5.0/s ETA 0:15 2 failed");
  CHECK(progress_text({.done = 10, .elapsed = 4000}, 80) == "10 done 0.0/s 1:06:40");
  CHECK(progress_text({.done = 0, .total = 7, .elapsed = 0}, 80) ==
        "[........................................] 0/7 0% 0.0/s");
  CHECK(progress_text({.done = 7, .total = 7, .elapsed = 1}, 5).size() == 5);
}
