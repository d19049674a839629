// Runs programs, and looks whether all is right at their ends.
#include "fuzz/hostile_arena.hpp"

#include <pinion/info.hpp>

#include <array>
#include <cstdio>
#include <optional>
#include <string>

#include "fuzz/operands.hpp"
#include "fuzz/user_steps.hpp"
#include "fuzz/worker_steps.hpp"
#include "fuzz/workerless_pool.hpp"
#include "lib/os/clock.hpp"
#include "lib/pool/locked.hpp"
#include "lib/pool/remote_exception.hpp"
#include "lib/pool/verify.hpp"

namespace fuzz {

using pool::Lane;

namespace {

constexpr unsigned programs_max = 50;

class Run {
 public:
  Run(WorkerlessPool& pool, std::span<const std::uint8_t> program) : in_(program), pool_(pool) {}

  void run() {
    pool_.begin();
    for (unsigned steps = 0; steps < steps_max && !in_.ended(); ++steps) {
      step(static_cast<Op>(in_.byte() % static_cast<unsigned>(Op::ops)));
    }
    finish();
  }

 private:
  void step(Op op) {
    switch (op) {
      case Op::apply:
        return user_.apply();
      case Op::map:
        return user_.map();
      case Op::answer:
        return workers_.answer();
      case Op::forge:
        return workers_.forge();
      case Op::word:
        return workers_.word();
      case Op::bytes:
        return workers_.bytes();
      case Op::chunk:
        return workers_.chunk();
      case Op::error:
        return workers_.error();
      case Op::collect:
        static_cast<void>(pool_.collector.collect());
        return;
      case Op::drain:
        return pool_.drain(in_.worker());
      case Op::balance:
        return balance();
      case Op::cancel:
        return user_.cancel();
      case Op::bury:
        return bury();
      case Op::limits:
        return limits();
      case Op::note:
        return note();
      case Op::decode:
        return user_.decode();
      case Op::drop:
        return user_.drop();
      case Op::bell:
        return workers_.bell();
      case Op::controls:
        return controls();
      case Op::stop:
        return user_.stop();
      case Op::ops:
        return;
    }
  }

  // What the manager does:

  void balance() {
    Lane& lane = pool_.lane(in_.worker());
    if (lane.in_flight() != 0) lane.progress_ns = 1;  // long ago
    const pool::Locked lock(pool_.state);
    static_cast<void>(pool_.takeback.balance());
  }
  void controls() {
    const pool::Locked lock(pool_.state);
    static_cast<void>(pool_.dispatcher.flush_all_controls());
  }
  void limits() {
    const std::int64_t later_ns = std::int64_t{in_.byte()} * 1'000'000;
    const pool::Locked lock(pool_.state);
    static_cast<void>(pool_.limits.check(pinion::os::now_ns() + later_ns));
  }
  void note() {
    const Lane& lane = pool_.lane(in_.worker());
    if (!lane.alive()) return;
    pinion::WorkerInfo info;
    lane.read_note(info);
    if (info.io_reason.size() > sizeof shm::WorkerNote{}.reason) found("a note that is too long");
    for (const char c : info.io_reason) {
      if (c < ' ' || c > '~') found("a note that cannot be shown");
    }
    static_cast<void>(lane.in_initializer());
    static_cast<void>(pool::decode_exception(lane.start_error));
  }
  void bury() {
    const unsigned w = in_.worker();
    const bool ready = in_.byte() % 2 == 0;
    if (!pool_.lane(w).alive()) return;
    pool_.bury(w);
    if (user_.stopped()) return;
    pool_.bear(w);
    if (ready) pool_.say_ready(w);
  }

  // The end:

  /// All workers die; what is left is done by honest ones.
  void finish() {
    check();
    for (unsigned i = 0; i < pool_.workers; ++i) {
      if (pool_.lane(i).alive()) pool_.bury(i);
    }
    if (!user_.stopped()) {
      for (unsigned i = 0; i < pool_.workers; ++i) {
        pool_.bear(i);
        pool_.say_ready(i);
      }
      for (unsigned round = 0; pool_.state.pending.load() != 0; ++round) {
        if (round == rounds_max) found("honest workers do not come to an end");
        for (unsigned i = 0; i < pool_.workers; ++i) {
          if (pool_.lane(i).state == Lane::State::killed) found("an honest worker was killed");
          workers_.answer_first(i);
        }
        static_cast<void>(pool_.collector.collect());
        const pool::Locked lock(pool_.state);
        pool_.dispatcher.feed();
      }
    }
    if (pool_.state.pending.load() != 0) found("something is pending and will never end");
    check();
    user_.leave();
    check();
    // A successor begins with the least that a worker can have, whatever others took meanwhile.
    const std::uint64_t least = pool_.results_begin() + shm::result_bytes_start;
    if (pool_.state.arena.committed() > pool_.state.arena.limit() + pool_.workers * least) {
      found("the arena grew too far");
    }
    pool_.end();
  }

  void check() {
    const pool::Locked lock(pool_.state);
    const auto broken = pool::verify(pool_.state);
    for (const std::string& what : broken) std::fprintf(stderr, "accounts: %s\n", what.c_str());
    if (!broken.empty()) found("the accounts contradict each other");
  }

  static constexpr unsigned steps_max = 400;  // of a program
  static constexpr unsigned rounds_max = 200'000;

  Operands in_;
  WorkerlessPool& pool_;
  UserSteps user_{in_, pool_};
  WorkerSteps workers_{in_, pool_};
};

}  // namespace

void run_program(std::span<const std::uint8_t> program) {
  // One pool for some programs, so that there is time for many.
  struct Shared {
    std::optional<WorkerlessPool> pool;
    unsigned programs = 0;
  };
  static std::array<Shared, 2> pools;
  if (program.empty()) return;
  const unsigned memory = program.front() & 1;
  Shared& shared = pools[memory];
  if (shared.programs++ % programs_max == 0) shared.pool.reset();
  if (!shared.pool) {
    shared.pool.emplace(memory == 0 ? WorkerlessPool::Memory::tight
                                    : WorkerlessPool::Memory::growing);
  }
  Run(*shared.pool, program.subspan(1)).run();
}

}  // namespace fuzz
