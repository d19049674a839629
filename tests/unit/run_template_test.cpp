#include <doctest/doctest.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "support/seed.hpp"
#include "tools/pinion/command_template.hpp"
#include "tools/pinion/executable_finder.hpp"
#include "tools/pinion/shell_words.hpp"

using pinion::command::append_quoted;
using pinion::command::CommandTemplate;
using pinion::command::ExecutableFinder;
using pinion::command::has_metacharacter;
using pinion::command::split_words;

namespace {

using Words = std::vector<std::string>;

std::string quote(std::string_view word) {
  std::string line;
  append_quoted(line, word);
  return line;
}

std::string expand(const Words& command, const Words& arguments, std::uint64_t sequence = 1,
                   unsigned slot = 1) {
  return CommandTemplate(command).expand({arguments, sequence, slot});
}

// What a shell makes of `line`: its words, each followed by a newline.
std::string shell_words_of(const std::string& line) {
  const std::string command = "printf '%s\\n' " + line;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) output += static_cast<char>(c);
  CHECK(::pclose(pipe) == 0);
  return output;
}

struct Folder {
  Folder() {
    char name[] = "/tmp/pinion-test-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { REQUIRE(std::system(("rm -r " + path).c_str()) == 0); }

  std::string add(const std::string& name, mode_t mode) const {
    const std::string file = path + "/" + name;
    std::ofstream(file) << "#!/bin/sh\n";
    REQUIRE(::chmod(file.c_str(), mode) == 0);
    return file;
  }

  std::string path;
};

}  // namespace

TEST_CASE("a replacement string stands for the argument or a part of it") {
  const auto parts = [](const std::string& argument) {
    return expand({"echo", "{}", "{.}", "{/}", "{//}", "{/.}"}, {argument});
  };
  CHECK(parts("a/b.c.d") == "echo a/b.c.d a/b.c b.c.d a b.c");
  CHECK(parts("/x/y.") == "echo /x/y. /x/y y. /x y");
  CHECK(parts("a") == "echo a a a . a");
  CHECK(parts(".hid") == "echo .hid '' .hid . ''");
  CHECK(parts("a/") == "echo a/ a/ '' . ''");
  CHECK(parts("/") == "echo / / '' / ''");
  CHECK(parts("//") == "echo // // '' / ''");
  CHECK(parts("a//b") == "echo a//b a//b b a b");
  CHECK(parts("./a.b/c") == "echo ./a.b/c ./a.b/c c ./a.b c");
  CHECK(parts("..") == "echo .. . .. . .");
}

TEST_CASE("sequence number and slot are put in") {
  CHECK(expand({"echo", "{#}-{%}"}, {"a"}, 12, 3) == "echo 12-3");
  CHECK(CommandTemplate(Words{"echo", "{%}"}).uses_slot());
  CHECK_FALSE(CommandTemplate(Words{"echo", "{#}"}).uses_slot());
}

TEST_CASE("a command without a replacement string gets the argument appended") {
  CHECK(expand({"echo"}, {"a b"}) == "echo 'a b'");
  CHECK(expand({"echo", "{x}", "{ }", "{"}, {"a"}) == "echo {x} { } { a");
  CHECK(expand({"echo", "{#}"}, {"a"}) == "echo 1");
}

TEST_CASE("arguments of several sources are taken together or by number") {
  CHECK(expand({"echo"}, {"a", "1 2"}) == "echo a '1 2'");
  CHECK(expand({"echo", "{2}", "{1.}", "{-1/}"}, {"a.x", "b/c"}) == "echo b/c a c");
  CHECK(expand({"echo", "{.}", "{/}"}, {"a b/x.c", "y.d"}) == "echo 'a b/x' y x.c y.d");
  CHECK(expand({"echo", "{3}"}, {"a", "b"}) == "echo ");
  CHECK(expand({"echo", "{99999999999}"}, {"a"}) == "echo {99999999999} a");
}

TEST_CASE("replacement strings in an argument mean nothing") {
  CHECK(expand({"echo"}, {"{#}"}) == "echo '{#}'");
  CHECK(expand({}, {"echo {} {.}"}) == "echo {} {.}");
}

TEST_CASE("the words of the command are shell text and only arguments are quoted") {
  CHECK(expand({"echo", "a b", "*", "{}x"}, {"c d"}) == "echo a b * 'c d'x");
  CHECK(expand({"cd {};ls"}, {"a b"}) == "cd 'a b';ls");
  CHECK(expand({"{{}}"}, {"a"}) == "{a}");
}

TEST_CASE("an argument in the first word is command text") {
  CHECK(expand({}, {"echo 'a b' > c"}) == "echo 'a b' > c");
  CHECK(expand({"{}", "x"}, {"a b"}) == "a b x");
  CHECK(expand({"{}/x {}"}, {"a b"}) == "a b/x a b");
  CHECK(expand({"X={} env {}"}, {"a b"}) == "X='a b' env 'a b'");
  CHECK(expand({" {}"}, {"a b"}) == " 'a b'");
}

TEST_CASE("a word is quoted in GNU parallel's spelling") {
  CHECK(quote("a/b_c.d+e-1") == "a/b_c.d+e-1");
  CHECK(quote("") == "''");
  CHECK(quote("a b") == "'a b'");
  CHECK(quote("it's") == "'it'\"'\"'s'");
  CHECK(quote("'") == "\"'\"");
  CHECK(quote("a''b") == "'a'\"'\"''\"'\"'b'");
  CHECK(quote("a'") == "'a'\"'\"");
  CHECK(quote("A=1") == "'A=1'");
  CHECK(quote("\xc3\xa9") == "'\xc3\xa9'");
}

TEST_CASE("a quoted word arrives in a shell as it was, whatever it holds") {
  const auto seed = static_cast<unsigned>(checks::seed());
  CAPTURE(seed);
  std::mt19937 random(seed);
  const std::string alphabet = "a '\"\\$`!*?[]{}()<>|&;~#=%^-\t,@:+/.\xc3\xa9";
  std::string line, expected;
  for (int i = 0; i < 300; ++i) {
    std::string word;
    for (auto length = random() % 6; length > 0; --length) {
      word += alphabet[random() % alphabet.size()];
    }
    line += ' ' + quote(word);
    expected += word + '\n';
  }
  CHECK(shell_words_of(line) == expected);
}

TEST_CASE("a line without metacharacters is told from one that needs a shell") {
  for (const char* line : {"ls", "ls -l a.b /c", "dd if=/dev/zero of=x", " a\tb ", "a,b:c@d%e+f^",
                           "na\xc3\xafve", ""}) {
    CAPTURE(line);
    CHECK_FALSE(has_metacharacter(line));
  }
  for (const std::string character : {"'", "\"", "\\", "$", "`", "*", "?", "[", "]", "{", "}",
                                      "(", ")",  "<",  ">", "|", "&", ";", "~", "#", "!", "\n"}) {
    CAPTURE(character);
    CHECK(has_metacharacter("ls a" + character));
  }
  CHECK(has_metacharacter("X=1 ls"));
  CHECK(has_metacharacter("  X=1"));
}

TEST_CASE("words are split at blanks") {
  CHECK(split_words(" a\t b  c ") == Words{"a", "b", "c"});
  CHECK(split_words(" ").empty());
}

TEST_CASE("an executable is found along the search path") {
  const Folder first, second;
  first.add("tool", 0644);
  const std::string tool = second.add("tool", 0755);
  REQUIRE(::mkdir((first.path + "/folder").c_str(), 0755) == 0);
  ExecutableFinder finder("/no/such/folder:" + first.path + ":" + second.path);
  CHECK(finder.find("tool") == tool);
  CHECK(finder.find("folder").empty());
  CHECK(finder.find("absent").empty());
  CHECK(finder.find(tool) == tool);
  CHECK(finder.find(second.path).empty());
  CHECK(ExecutableFinder("").find("tool").empty());
}

TEST_CASE("a line is executed directly only where that is the same") {
  const Folder folder;
  folder.add("tool", 0755);
  ExecutableFinder finder(folder.path);
  // The program's own name stays what the user has written.
  CHECK(finder.arguments_for("tool  a -b") == Words{"tool", "a", "-b"});
  for (const char* line : {"tool 'a'", "absent a", "X=1 tool", "tool; tool", "exit 3", ""}) {
    CAPTURE(line);
    CHECK(finder.arguments_for(line) == Words{"/bin/sh", "-c", line});
  }
}

TEST_CASE("quoted words reach the program as they are, with the arguments in them") {
  const auto quoted = [](const Words& command, const Words& arguments) {
    return CommandTemplate(command, CommandTemplate::Quoting::words).expand({arguments, 3, 2});
  };
  CHECK(quoted({"echo", "$HOME  \"{}\""}, {"a b"}) == "echo '$HOME  \"a b\"'");
  CHECK(quoted({"perl", "-e", "print \"@ARGV\\n\"", "{}x"}, {"a b"}) ==
        "perl -e 'print \"@ARGV\\n\"' 'a bx'");
  CHECK(quoted({"echo"}, {"it's"}) == "echo 'it'\"'\"'s'");
  CHECK(quoted({"echo", "x{}y", "{1}.{2}{#}{%}"}, {"a", "b c"}) == "echo xa 'b cy' 'a.b c32'");
  CHECK(quoted({}, {"echo a"}) == "'echo a'");
  CHECK(quoted({"{}", "a;b"}, {"my prog"}) == "'my prog' 'a;b'");
}

TEST_CASE("a text is expanded without quotes, and nothing is appended") {
  const Words arguments{"a b", "c/d.e"};
  CHECK(CommandTemplate("x{}y").expand({arguments, 1, 1}) == "xa b c/d.ey");
  CHECK(CommandTemplate("{2//}:{2/.}").expand({arguments, 1, 1}) == "c:d");
  CHECK(CommandTemplate("fixed").expand({arguments, 1, 1}) == "fixed");
  CHECK_FALSE(CommandTemplate("fixed").replaces());
  CHECK(CommandTemplate("{#}").replaces());
}

TEST_CASE("with a shell of its own every line goes through it") {
  ExecutableFinder finder("/bin:/usr/bin");
  CHECK(finder.arguments_for("ls -l") == Words{"ls", "-l"});
  CHECK(finder.arguments_for("ls -l", true) == Words{"ls", "-l"});
  finder.always_use("/bin/bash");
  CHECK(finder.arguments_for("ls -l") == Words{"/bin/bash", "-c", "ls -l"});
}

TEST_CASE("a relative name is the shell's where the job runs in another directory") {
  ExecutableFinder finder("/bin:/usr/bin");
  const Folder folder;
  const std::string program = folder.path + "/program";
  std::ofstream(program) << "#!/bin/sh\n";
  REQUIRE(::chmod(program.c_str(), 0755) == 0);
  CHECK(finder.arguments_for(program, true) == Words{program});
  const std::string relative = "../../../../../../../../../.." + program;
  CHECK(finder.arguments_for(relative) == Words{relative});
  CHECK(finder.arguments_for(relative, true) == Words{"/bin/sh", "-c", relative});
}
