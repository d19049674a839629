// Live workers that tell lies, each one thought of: about their tasks, their chunks and themselves
// (FAULTS: F27, F35, P9). Whatever it is: the manager goes on, the siblings do not notice, and the
// liar is replaced or its tasks end.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>
#include <pinion/pinion.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "tests/fault/bystander.hpp"
#include "tests/fault/scribbler.hpp"

using namespace checks;
using namespace checks::scribbler;
using namespace pinion;

namespace {

constexpr std::uint64_t nowhere = ~std::uint64_t{0} - 7;

/// A chunk's block at the begin of the results, with a list of errors.
std::uint64_t write_errors(const Liar& liar, std::uint64_t first, std::uint64_t next) {
  const std::uint64_t block = own_layout.results();
  liar.word(block, first);
  liar.word(first, next);
  liar.word(first + 8, 0);
  liar.word(first + 16, 0);
  return block;
}

struct Lie {
  const char* name;
  enum Fate { unseen, seen, believed } fate;  // unseen: its worker dies; believed: seen too late
  void (*tell)(const Liar& liar);
};

using ring::ResultKind;

// Told by a task that is alone in its worker's hand.
constexpr Lie lies[] = {
    {"nothing but zeros", Lie::unseen, [](const Liar& l) { std::memset(l.at(0), 0, committed); }},
    {"its memory taken away", Lie::unseen,
     [](const Liar& l) { ::madvise(l.at(0), committed, MADV_REMOVE); }},
    {"claimed beyond what it was given", Lie::unseen,
     [](const Liar& l) { l.line().claimed = nowhere; }},
    {"claimed less than at its birth", Lie::unseen, [](const Liar& l) { l.line().claimed = 0; }},
    {"read beyond what it was given", Lie::unseen, [](const Liar& l) { l.line().read = nowhere; }},
    {"a chunk where there is none", Lie::unseen,
     [](const Liar& l) {
       l.line().block = nowhere;
       l.line().progress = ring::pack_progress(1U << 30, 1U << 31);
       l.line().chunk = l.position() + 1;
     }},
    {"a note without an end", Lie::unseen,
     [](const Liar& l) {
       std::memset(l.note().reason, 'x', sizeof l.note().reason);
       l.note().initializing = 1;
       l.note().backend = 77;
     }},
    {"a start in the future", Lie::unseen, [](const Liar& l) { l.flight().started_ns = nowhere; }},
    {"an answer to no task", Lie::seen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::value);
       message.flight = 700;
       l.push(message);
     }},
    {"an answer to no flight", Lie::seen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::value);
       message.flight = 0xfffe;
       l.push(message);
     }},
    {"an answer to an old task", Lie::seen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::value);
       --message.position;
       l.push(message);
     }},
    {"two answers", Lie::believed,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::value);
       message.inline_bytes = sizeof(int);
       l.push(message);
       l.push(message);
     }},
    {"more bytes than a message has", Lie::seen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::value);
       message.inline_bytes = 0x8000'0000;
       l.push(message);
     }},
    {"a value at the end of the address space", Lie::seen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::value);
       message.flags = 0;
       message.payload.block = {nowhere, 4096};
       l.push(message);
     }},
    {"a value that ends nowhere", Lie::seen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::value);
       message.flags = 0;
       message.payload.block = {own_layout.results(), nowhere};
       l.push(message);
     }},
    {"a value in the ring", Lie::seen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::value);
       message.flags = 0;
       message.payload.block = {own_layout.result_ring(), 4096};
       l.push(message);
     }},
    {"an error of half a MiB and more", Lie::seen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::need_space);
       message.payload.words[0] = 1 << 20;
       l.push(message);
       std::this_thread::sleep_for(20ms);
       message = l.answer(ResultKind::error);
       message.flags = 0;
       message.payload.block = {own_layout.results(), (512 << 10) + 1};
       l.push(message);
     }},
    {"skipped what nobody took back", Lie::seen,
     [](const Liar& l) { l.push(l.answer(ResultKind::skipped)); }},
    {"a message of no kind", Lie::seen,
     [](const Liar& l) { l.push(l.answer(static_cast<ResultKind>(200))); }},
    {"a chunk where one task was", Lie::seen,
     [](const Liar& l) { l.push(l.answer(ResultKind::chunk)); }},
    {"ready once more, and failed to start", Lie::unseen,
     [](const Liar& l) {
       l.push(l.answer(ResultKind::ready));
       l.push(l.answer(ResultKind::start_failed));
       l.push(l.answer(ResultKind::left));
     }},
    {"wants an exabyte", Lie::unseen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::need_space);
       message.payload.words[0] = std::uint64_t{1} << 60;
       l.push(message);
     }},
    {"wants more and more, and reads no answer", Lie::seen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::need_space);
       message.payload.words[0] = std::uint64_t{1} << 60;
       for (int i = 0; i < 900; ++i) l.push(message);
     }},
};

/// Told by the first item of a chunk that runs.
constexpr Lie chunk_lies[] = {
    {"more done than there is", Lie::unseen,
     [](const Liar& l) { l.line().progress = ring::pack_progress(0xffff'ffff, 0); }},
    {"done, with its values nowhere", Lie::seen,
     [](const Liar& l) {
       l.line().block = nowhere;
       l.line().progress = ring::pack_progress(5, 6);
     }},
    {"an answer with its values nowhere", Lie::seen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::chunk);
       message.payload.block = {nowhere, 64};
       l.push(message);
     }},
    {"an answer for more items than there are", Lie::seen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::chunk);
       message.payload.block = {l.line().block.load(), 64};
       ++message.items_done;
       l.push(message);
     }},
    {"an end before the end", Lie::seen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::chunk);
       message.payload.block = {l.line().block.load(), 64};
       message.items_done = 0;
       l.push(message);
     }},
    {"errors in a circle", Lie::seen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::chunk);
       const std::uint64_t at = own_layout.results() + 64 * 1024;
       message.payload.block = {write_errors(l, at, at), 64};
       l.push(message);
     }},
    {"errors that lead out", Lie::seen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::chunk);
       const std::uint64_t at = own_layout.results() + 64 * 1024;
       message.payload.block = {write_errors(l, at, nowhere), 64};
       l.push(message);
     }},
    {"every value is all of its memory", Lie::unseen,
     [](const Liar& l) {
       auto message = l.answer(ResultKind::chunk);
       const std::uint64_t block = own_layout.results();
       l.word(block, 0);
       for (std::uint32_t i = 0; i < message.items_done; ++i) {
         const std::uint64_t at = block + sizeof(shm::ChunkBlock) + i * sizeof(shm::ValueRef);
         l.word(at + 8, shm::result_bytes_start);
         l.word(at, block);
       }
       message.payload.block = {block, 64};
       l.push(message);
     }},
};

/// A worker can say that it had not begun: then its task runs elsewhere, and tells no lie there.
const Shared<std::atomic<int>> told;

int tell(std::uint32_t number) {
  if (told->exchange(1) != 0) return 0;
  lies[number].tell(Liar());
  await_the_end();
}
std::string tell_in_chunk(std::uint32_t number) {
  if (told->fetch_add(1) > 1) return {};
  chunk_lies[number].tell(Liar());
  await_the_end();
}

/// What whoever waits for the liar's task is told.
void check_outcome(const AsyncResult<int>& result, Lie::Fate fate) {
  try {
    const int value = result.get();
    CHECK(value == 0);
    CHECK((fate != Lie::seen));  // believed, or the worker said that it had not begun
  } catch (const WorkerLost& lost) {
    const std::string text = lost.what();
    CAPTURE(text);
    CHECK((fate != Lie::believed));
    CHECK(text.find(" was lost: worker ") != text.npos);
    CHECK(text.find("Submit it again") != text.npos);
    if (fate == Lie::seen) {
      CHECK((lost.cause() == WorkerLost::Cause::protocol_breach));
      CHECK(text.find("broke the protocol of the shared memory and was replaced (") != text.npos);
    } else {
      CHECK((lost.cause() == WorkerLost::Cause::death));
      CHECK(text.find("ended with exit code 3") != text.npos);
    }
  }
}
/// Values that were there count, whatever they are; and the liar dies of itself.
void check_unseen(const AsyncResult<std::vector<std::string>>& result) {
  try {
    const std::size_t values = result.get().size();
    CHECK(values == 60);
  } catch (const WorkerLost& lost) {
    CHECK((lost.status() == ExitStatus::exited(3)));
  } catch (const EncodingError&) {
  }
}

}  // namespace

TEST_CASE_FIXTURE(NothingLeft,
                  "a worker that tells a lie is replaced, or ends, and harms nobody else") {
  if (rings_are_shared()) return;
  HarmedPool pool(PoolOptions{.processes = workers});
  Bystander bystander(pool);
  for (std::uint32_t i = 0; i < std::size(lies); ++i) {
    CAPTURE(std::string(lies[i].name));
    *told = 0;
    const std::uint64_t deaths = pool.stats().deaths;
    const std::uint64_t breaches = pool.stats().protocol_breaches;
    const auto result = pool.apply_async(tell, i);
    await_end(result);
    CHECK(*told == 1);
    CHECK(eventually([&] {
      return pool.stats().protocol_breaches == breaches + (lies[i].fate != Lie::unseen);
    }));
    check_outcome(result, lies[i].fate);
    // What it is given until it dies is lost.
    CHECK(eventually([&] { return pool.stats().deaths == deaths + 1; }));
    static_cast<void>(pool.workers());
    check_work(pool);
    check_accounts(pool);
  }
  CHECK(bystander.gets_on());
  bystander.leave();
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft,
                  "a worker that lies about a chunk is replaced, or ends, and its map ends") {
  if (rings_are_shared()) return;
  HarmedPool pool(PoolOptions{.processes = workers});
  Bystander bystander(pool);
  for (std::uint32_t i = 0; i < std::size(chunk_lies); ++i) {
    CAPTURE(std::string(chunk_lies[i].name));
    *told = 0;
    const std::uint64_t breaches = pool.stats().protocol_breaches;
    const std::vector<std::uint32_t> items(60, i);
    const auto result = pool.map_async(tell_in_chunk, items, Chunking::fixed(30));
    await_end(result);
    CHECK(*told >= 1);
    if (chunk_lies[i].fate == Lie::seen) {
      CHECK(pool.stats().protocol_breaches > breaches);
      CHECK_THROWS_AS(result.get(), WorkerLost);
    } else {
      check_unseen(result);
    }
    check_work(pool);
    check_accounts(pool);
  }
  bystander.leave();
  check_rest(pool);
}

namespace {

using Pattern = std::array<std::uint64_t, 8>;
constexpr Pattern honest_value = {1, 2, 3, 4, 5, 6, 7, 8};

/// Says where its value is, and at the same time that it is where no value may be.
Pattern say_two_things(int) {
  const Liar liar;
  constexpr std::uint64_t right = own_layout.results() + 128 * 1024;
  constexpr std::uint64_t wrong = shm::WorkerLayout::line;
  std::memcpy(liar.at(right), &honest_value, sizeof honest_value);
  auto message = liar.answer(ResultKind::value);
  message.flags = 0;
  message.payload.block = {right, sizeof honest_value};
  const std::uint64_t slot = liar.push(message);
  constexpr std::uint64_t word = sizeof(std::uint64_t) + offsetof(ring::ResultMessage, payload);
  const auto until = Clock::now() + 1ms;
  while (Clock::now() < until) {
    for (int i = 0; i < 500; ++i) liar.word(slot + word, i % 2 == 0 ? wrong : right);
  }
  ::_exit(3);
}

}  // namespace

TEST_CASE_FIXTURE(NothingLeft,
                  "what changes while the manager looks at it is used as it was checked") {
  if (rings_are_shared()) return;
  HarmedPool pool(PoolOptions{.processes = 1});
  int taken = 0;
  int lost = 0;
  for (int round = 0; round < 100; ++round) {
    const auto result = pool.apply_async(say_two_things, round);
    if (const auto value = value_unless_lost(result, 30s)) {
      const bool as_checked = *value == honest_value;
      CHECK(as_checked);
      ++taken;
    } else {
      ++lost;
    }
  }
  std::printf("two things said: %d taken, %d refused or lost\n", taken, lost);
  CHECK(taken > 0);
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft,
                  "a chunk that never begins its first item is cancelled, and answered later") {
  if (rings_are_shared()) return;
  HarmedPool pool(PoolOptions{.processes = workers});
  // One worker says that it has begun nothing, whatever is cancelled or taken from it meanwhile.
  for (int round = 0; round < 5; ++round) {
    const auto result = pool.map_async(
        [](int) {
          const Liar liar;
          for (int i = 0; i < 200; ++i) {
            liar.line().progress = 0;
            std::this_thread::sleep_for(std::chrono::microseconds(500));
          }
          return 1;
        },
        std::vector<int>(2), Chunking::fixed(2));
    std::this_thread::sleep_for(std::chrono::milliseconds(10 + 10 * round));
    result.cancel();
    await_end(result);
    check_accounts(pool);
  }
  check_work(pool);
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft,
                  "a worker that lies before it is ready is a failed start, and no other's") {
  if (rings_are_shared()) return;
  PoolOptions options;
  options.processes = workers;
  options.start_limit = std::chrono::seconds(10);
  options.initializer = call([] {
    const Liar liar;
    ring::ResultMessage message{};
    message.flight = 1;
    message.kind = ResultKind::value;
    liar.push(message);
    await_the_end();
  });
  const auto begin = Clock::now();
  CHECK_THROWS_AS(Pool{options}, StartError);
  CHECK(Clock::now() - begin < 9s);
}
