#include <dlfcn.h>
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>
#include <pinion/errors.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "lib/start/modules.hpp"
#include "tests/unit/child.hpp"

using namespace pinion;
using namespace pinion::tests;
using start::CodeToken;
using start::ModuleTable;
using start::ModuleView;

// Paths of two builds of module_library.cpp, the second with other code.
const char* const library_path = PINION_TEST_LIBRARY;
const char* const other_path = PINION_TEST_OTHER_LIBRARY;

namespace {

using Function = int (*)(int);

int twice(int x) { return 2 * x; }
template <class T>
int thunk(int x) {
  return x + static_cast<int>(sizeof(T));
}

const void* code_of(Function f) { return reinterpret_cast<const void*>(f); }
Function function_at(void* code) { return reinterpret_cast<Function>(code); }

/// The module table, where manager and workers both see it.
class SharedTable {
 public:
  SharedTable() {
    void* const p =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED);
    entries = static_cast<shm::ModuleEntry*>(p);
  }
  ~SharedTable() { ::munmap(entries, bytes); }
  SharedTable(const SharedTable&) = delete;
  SharedTable& operator=(const SharedTable&) = delete;

  unsigned modules() const {
    unsigned n = 0;
    while (n < shm::modules_max && entries[n].ready.load() == 1) ++n;
    return n;
  }
  /// An entry as a manager would write it.
  void say(unsigned number, const std::string& path, const std::vector<std::uint8_t>& build_id) {
    shm::ModuleEntry& entry = entries[number];
    std::memcpy(entry.path, path.c_str(), path.size() + 1);
    std::copy(build_id.begin(), build_id.end(), entry.build_id);
    entry.build_id_bytes = static_cast<std::uint32_t>(build_id.size());
    entry.ready = 1;
  }
  shm::ModuleEntry* entries = nullptr;

 private:
  static constexpr std::size_t bytes = shm::modules_max * sizeof(shm::ModuleEntry);
};

/// Why a view cannot find the code; empty where it can.
std::string refusal(const shm::ModuleEntry* entries, CodeToken token) {
  ModuleView view(entries);
  try {
    view.address_of(token);
  } catch (const EncodingError& error) {
    return error.what();
  }
  return {};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The library's function, loaded for the length of a scope.
class Library {
 public:
  explicit Library(const char* path) : handle_(::dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) std::printf("%s\n", ::dlerror());
    REQUIRE(handle_ != nullptr);
    answer = reinterpret_cast<Function>(::dlsym(handle_, "answer"));
    REQUIRE(code_of(answer) != nullptr);
  }
  ~Library() { ::dlclose(handle_); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  Function answer;

 private:
  void* handle_;
};

}  // namespace

TEST_CASE("a token leads back to the function it was made of") {
  const SharedTable shared;
  ModuleTable table(shared.entries);
  ModuleView view(shared.entries);
  const Function lambda = [](int x) { return x - 1; };
  const Function value = std::rand() >= 0 ? &twice : lambda;
  for (const Function f : {&twice, &thunk<int>, &thunk<double>, lambda, value, Function(&::abs)}) {
    const CodeToken token = table.token_of(code_of(f));
    CHECK(view.address_of(token) == code_of(f));
    CHECK(CodeToken::unpack(token.packed()).packed() == token.packed());
  }
  CHECK(shared.modules() == 2);  // this program, and the library that abs() is in
}

TEST_CASE("a function has one token, whoever asks, however often") {
  const SharedTable shared;
  ModuleTable table(shared.entries);
  const std::array<Function, 3> functions{&twice, &thunk<char>, Function(&::abs)};
  std::array<std::array<std::uint64_t, 3>, 4> tokens{};
  std::vector<std::thread> threads;
  for (auto& mine : tokens) {
    threads.emplace_back([&] {
      for (int round = 0; round < 1000; ++round) {
        for (std::size_t i = 0; i < 3; ++i)
          mine[i] = table.token_of(code_of(functions[i])).packed();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& mine : tokens) CHECK(mine == tokens[0]);
  CHECK(tokens[0][0] != tokens[0][1]);
  CHECK(shared.modules() == 2);
}

TEST_CASE("more functions than the cache holds all have their own tokens") {
  const SharedTable shared;
  ModuleTable table(shared.entries);
  ModuleView view(shared.entries);
  const auto* const begin = static_cast<const std::byte*>(code_of(&twice));
  for (int round = 0; round < 2; ++round) {
    int wrong = 0;
    for (int i = 0; i < 64; ++i) {  // bytes of code will do as functions
      wrong += view.address_of(table.token_of(begin + i)) == begin + i ? 0 : 1;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("what is no code of a loaded module is refused with a sentence") {
  const SharedTable shared;
  ModuleTable table(shared.entries);
  static int data = 1;
  int on_stack = 2;
  const auto on_heap = std::make_unique<int>(3);
  for (const void* address :
       {static_cast<const void*>(&data), static_cast<const void*>(&on_stack),
        static_cast<const void*>(on_heap.get()), static_cast<const void*>("a text"),
        static_cast<const void*>(nullptr), reinterpret_cast<const void*>(std::uintptr_t{16})}) {
    try {
      table.token_of(address);
      FAIL("it must throw");
    } catch (const EncodingError& error) {
      CHECK(has(error.what(), "does not point to code of this program or of a loaded library"));
    }
  }
  // Also code that no module has, as a just-in-time compiler makes it.
  void* const made =
      ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK_THROWS_AS(table.token_of(made), EncodingError);
  ::munmap(made, 4096);
  CHECK(shared.modules() == 0);
}

TEST_CASE("a forked child finds the same functions") {
  const SharedTable shared;
  ModuleTable table(shared.entries);
  const Library library(library_path);
  const CodeToken own = table.token_of(code_of(&twice));
  const CodeToken from_library = table.token_of(code_of(library.answer));
  CHECK(own.module != from_library.module);
  CHECK(in_child([&] {
          ModuleView view(shared.entries);
          for (int i = 0; i < 3; ++i) {
            if (function_at(view.address_of(own))(21) != 42) return 1;
            if (function_at(view.address_of(from_library))(1) != 43) return 2;
          }
          return 0;
        }) == 0);
}

TEST_CASE("a library that a worker has not loaded is loaded by its path") {
  const SharedTable shared;
  CodeToken token;
  {
    ModuleTable table(shared.entries);
    const Library library(library_path);
    token = table.token_of(code_of(library.answer));
  }
  // Here it is no longer loaded, so a child of ours has it not.
  REQUIRE(::dlopen(library_path, RTLD_NOW | RTLD_NOLOAD) == nullptr);
  CHECK(in_child([&] {
          ModuleView view(shared.entries);
          return function_at(view.address_of(token))(1) == 43 ? 0 : 1;
        }) == 0);
}

TEST_CASE("a file that is not what the program has loaded is refused") {
  const SharedTable shared;
  CodeToken token;
  {
    ModuleTable table(shared.entries);
    const Library library(library_path);
    token = table.token_of(code_of(library.answer));
  }
  shm::ModuleEntry& entry = shared.entries[token.module];
  REQUIRE(entry.build_id_bytes > 8);

  // Another build has come to lie at its path.
  const std::vector<std::uint8_t> id(entry.build_id, entry.build_id + entry.build_id_bytes);
  SharedTable replaced;
  replaced.say(0, other_path, id);
  CHECK(in_child([&] {
          const std::string why = refusal(replaced.entries, {0, token.offset});
          return has(why, "is not the file that the program has loaded") && has(why, other_path)
                     ? 0
                     : 1;
        }) == 0);

  for (const unsigned byte : {0U, entry.build_id_bytes - 1}) {
    entry.build_id[byte] ^= 1;
    CHECK(in_child([&] {
            return has(refusal(shared.entries, token), "its build-id differs") ? 0 : 1;
          }) == 0);
    entry.build_id[byte] ^= 1;
  }
  CHECK(refusal(shared.entries, token).empty());
}

TEST_CASE("a file that cannot be loaded is named, with the reason") {
  SharedTable shared;
  shared.say(0, "/no/such/library.so", {1, 2, 3, 4});
  const std::string why = refusal(shared.entries, {0, 16});
  CHECK(has(why, "a worker could not load /no/such/library.so"));
  CHECK(has(why, "No such file"));
}

TEST_CASE("without a build-id only what fork inherited is trusted") {
  SharedTable shared;
  shared.say(0, "/usr/lib/without-one.so", {});
  CHECK(has(refusal(shared.entries, {0, 16}), "link it with -Wl,--build-id"));
  // The program itself is found by its path.
  std::array<char, 4096> path{};
  REQUIRE(::readlink("/proc/self/exe", path.data(), path.size() - 1) > 0);
  shared.say(1, path.data(), {});
  SharedTable other;
  ModuleTable table(other.entries);
  CodeToken token = table.token_of(code_of(&twice));
  token.module = 1;
  ModuleView view(shared.entries);
  CHECK(view.address_of(token) == code_of(&twice));
}

TEST_CASE("a module that nobody told of is refused") {
  const SharedTable shared;
  for (const std::uint16_t module :
       {std::uint16_t{0}, std::uint16_t{255}, std::uint16_t{256}, std::uint16_t{0xffff}}) {
    CHECK(has(refusal(shared.entries, {module, 16}), "a module that its worker was not told of"));
  }
}
