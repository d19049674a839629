// A pool's whole life, with a death in it, as tests of resources run it in a process of its own;
// and what may come of it: all right, or an error that says what is short.
#pragma once

#include <cxxabi.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <pinion/pinion.hpp>

#include <array>
#include <cstdlib>
#include <string>
#include <typeinfo>
#include <vector>

#include "fault/manager_process.hpp"
#include "support/invariants.hpp"

namespace checks::life {

inline int square(int x) { return x * x; }
inline std::size_t length(const std::string& text) { return text.size(); }
inline std::string repeated(std::size_t n) { return std::string(n, 'r'); }
inline pinion::Task<int> later(int x) {
  co_await pinion::sleep_for(1ms);
  const int fd = ::open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  std::array<std::byte, 16> bytes;
  const auto n = co_await pinion::io::read(fd, bytes);
  ::close(fd);
  co_return n > 0 ? x : 0;
}

inline std::string demangled(const std::exception& e) {
  const char* name = typeid(e).name();
  int status = 0;
  char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  const std::string result(text != nullptr ? text : name);
  std::free(text);
  return result;
}

/// A little of everything, with right results. Throws what a task throws.
inline void use(pinion::Pool& pool) {
  const auto expect = [](bool holds) {
    if (!holds) throw std::logic_error("a result is wrong");
  };
  std::vector<pinion::AsyncResult<int>> results;
  for (int i = 0; i < 40; ++i) results.push_back(pool.apply_async(square, i));
  for (int i = 0; i < 40; ++i) expect(results[std::size_t(i)].get(10s) == i * i);
  std::vector<int> items(500, 3);
  expect(pool.map(square, items) == std::vector<int>(500, 9));
  expect(pool.apply_async(length, std::string(3 << 20, 'a')).get(10s) == std::size_t{3} << 20);
  expect(pool.apply_async(repeated, std::size_t{2} << 20).get(10s).size() == std::size_t{2} << 20);
  expect(pool.apply_async(later, 7).get(10s) == 7);
}

/// The nursery: 0 where it had gone before anybody looked.
inline bool is_gone(pid_t nursery) { return nursery == 0 || ::kill(nursery, 0) != 0; }

/// Kills a worker, and waits until there is a successor, or can be none. False if neither came.
inline bool replace_one(pinion::Pool& pool, pid_t nursery) {
  const auto before = pool.stats().respawns;
  for (const pinion::WorkerInfo& worker : pool.workers()) {
    if (worker.pid == 0) continue;
    ::kill(worker.pid, SIGKILL);
    break;
  }
  return eventually([&] { return pool.stats().respawns > before || is_gone(nursery); }, 8s);
}

/// A pool's whole life. What it returns begins with "ok".
inline std::string live(Report& report) {
  pinion::Pool pool(2U);
  report.quiet = 1;  // what we do ourselves is not to fail
  const pid_t nursery = child_named("pinion-nursery");
  report.quiet = 0;
  report.stage = 1;
  use(pool);
  report.stage = 2;
  if (!replace_one(pool, nursery)) return "no successor came";
  use(pool);
  std::string said = "ok";
  for (const pinion::WorkerInfo& worker : pool.workers()) {
    if (worker.io_backend == "poll") said += ", poll backend";
  }
  if (is_gone(nursery)) said += ", no nursery";
  for (const std::string& what : pinion::detail::PoolAccess::core(pool).verify()) {
    said += ", account: " + what;
  }
  if (pool.stats().late_wakeups != 0) said += ", account: a wake-up was lost";
  pool.close();
  pool.join();
  return said;
}

/// What is there besides: as NothingLeft, for a process that has no doctest.
inline std::string things() {
  std::string text;
  text += std::to_string(entries_of("/proc/self/fd")) + " descriptors, ";
  text += std::to_string(arena_mappings()) + " mappings, ";
  std::string names;
  for (const Process& child : children()) names += " " + child.name + "/" + child.state;
  text += "children:" + names;
  return text;
}

/// Runs `body`, and says how it ended and what it has left.
template <class Body>
void tell(Report& report, Body body) {
  report.quiet = 1;
  const std::string before = things();
  report.quiet = 0;
  std::string said;
  try {
    said = body(report);
  } catch (const std::exception& e) {
    said = demangled(e) + ": " + e.what();
  }
  report.quiet = 1;
  static_cast<void>(eventually([&] { return things() == before; }, 300ms));
  const std::string after = things();
  if (after != before) said += "\nLEFT " + after + " where there were " + before;
  report.say(said);
}

inline bool begins(const std::string& text, const std::string& with) {
  return text.rfind(with, 0) == 0;
}
inline bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

/// "a::B: " as "a::B>: ".
inline std::string remote(const std::string& name) {
  return begins(name, "std::bad_alloc") ? name : name.substr(0, name.size() - 2) + ">: ";
}

/// Errors that say themselves which resource was short.
inline bool is_typed(const std::string& said) {
  for (const char* name : {"pinion::StartError: ", "pinion::ResourceError: ", "std::system_error: ",
                           "std::bad_alloc", "pinion::WorkerLost: ", "pinion::PoolTerminated: "}) {
    // By a task: also a RemoteError.
    if (begins(said, name) || begins(said, "pinion::detail::Remote<" + remote(name))) return true;
  }
  return false;
}

}  // namespace checks::life
