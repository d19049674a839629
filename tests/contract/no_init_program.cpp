// A program that does not call pinion::init: its libraries' tasks run in pinion-worker, its own
// cannot, and the error says what to do. With PINION_WORKER=/none no pool can be made so.
#include <cstdio>
#include <cstring>
#include <exception>

extern "C" int sum_in_a_pool(const char* method);
extern "C" int call_in_a_pool(int (*function)(int), char* error, unsigned long error_bytes);

namespace {

int own(int x) { return x + 1; }
int failures = 0;

void check(bool holds, const char* what) {
  if (!holds) ++failures;
  std::printf("%s: %s\n", holds ? "ok" : "FAILED", what);
}

}  // namespace

int main(int argc, char**) {
  if (argc > 1) {
    try {
      sum_in_a_pool("forkserver");
      check(false, "a pool without a program to start is refused");
    } catch (const std::exception& e) {
      check(std::strstr(e.what(), "pinion::init") != nullptr, e.what());
    }
    return failures;
  }
  check(sum_in_a_pool("forkserver") == 18, "a library's tasks by forkserver");
  check(sum_in_a_pool("spawn") == 18, "a library's tasks by spawn");
  char error[1024] = "";
  check(call_in_a_pool(&own, error, sizeof error) == -1,
        "the program's own tasks do not run there");
  check(std::strstr(error, "pinion::init") != nullptr, error);
  return failures;
}
