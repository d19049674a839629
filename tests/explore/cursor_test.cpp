// The cursor of a chunk against its cut, in every order: an item is run or taken back, never both,
// and nothing is left undone that nobody has taken back.
#include <doctest/doctest.h>
#include <pinion/detail/task_frame.hpp>

#include <algorithm>
#include <array>
#include <cstdint>

#include "lib/ring/revoke.hpp"
#include "tests/explore/expect.hpp"

using namespace explore;
using pinion::ring::Fencing;
using pinion::ring::Mutant;
namespace ring = pinion::ring;
namespace detail = pinion::detail;

namespace {

/// Policies that leave out a barrier.
struct NoFences : Atomics<> {
  static void full_fence() {}
};
struct NoMembarrier : Atomics<> {
  static void membarrier() {}
};

/// A worker runs chunks of some items each, one after the other; the manager cuts the first of them
/// at the items given, one after the other.
template <class A, Fencing fencing, std::uint32_t items, std::uint32_t strip, unsigned chunks,
          std::uint32_t... cuts>
struct Cut {
  static constexpr unsigned threads = 2;
  static constexpr std::uint64_t birth = 6;

  ring::BasicWorkerLine<A> worker_line;
  std::array<ring::BasicVerdict<A>, chunks> verdicts;
  std::array<std::uint32_t, chunks> done{};
  std::uint32_t assigned = items;  // of the first chunk
  std::uint32_t lowest = items;

  Cut() {
    worker_line.claimed.store(birth);
    worker_line.claimed.name("claimed");
    worker_line.chunk.name("chunk");
    worker_line.progress.name("progress");
    verdicts[0].limit.name("limit");
  }
  void run(unsigned thread) { thread == 0 ? worker() : (cut(cuts), ...); }

  /// As PlainFrame and MapThunk do it.
  void worker() {
    for (unsigned i = 0; i < chunks; ++i) {
      const std::uint64_t position = birth + i;
      ring::store_before<A>(worker_line.claimed, position + 1);
      worker_line.progress.store(0, std::memory_order_release);
      worker_line.chunk.store(position + 1, std::memory_order_release);
      const detail::BasicChunkCursor<A> cursor{&worker_line.progress, &verdicts[i].limit,
                                               ring::limit_tag(position), strip,
                                               fencing == Fencing::asymmetric};
      while (const std::uint32_t n = cursor.advance(done[i], items)) done[i] += n;
      worker_line.chunk.store(0, std::memory_order_release);
    }
  }
  void cut(std::uint32_t first) {
    if (first >= assigned) return;
    lowest = std::min(lowest, first);
    assigned = ring::cut(verdicts[0], worker_line, {birth, assigned, false}, first, fencing);
  }
  void check() {
    require(done[0] <= assigned, "an item is run and taken back");
    require(done[0] >= lowest, "an item is neither run nor taken back");
    for (unsigned i = 1; i < chunks; ++i) require(done[i] == items, "another chunk was cut");
  }
};

}  // namespace

TEST_CASE("an item is run or taken back, never both") {
  for (const Model model : {Model::tso, Model::weak}) {
    constexpr auto asymmetric = Fencing::asymmetric;
    constexpr auto symmetric = Fencing::symmetric;
    expect_right<Cut<Atomics<>, asymmetric, 3, 1, 1, 1>>("three items, membarrier", in(model));
    expect_right<Cut<Atomics<>, symmetric, 3, 1, 1, 1>>("three items, fences", in(model));
    expect_right<Cut<Atomics<>, asymmetric, 4, 2, 1, 1>>("strips, membarrier", in(model));
    expect_right<Cut<Atomics<>, symmetric, 4, 2, 1, 1>>("strips, fences", in(model));
    expect_right<Cut<Atomics<>, asymmetric, 3, 1, 1, 2, 0>>("two cuts, membarrier", in(model));
    expect_right<Cut<Atomics<>, symmetric, 3, 1, 1, 2, 0>>("two cuts, fences", in(model));
  }
}

TEST_CASE("the progress of the next chunk is not taken for that of the one that is cut") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_right<Cut<Atomics<>, Fencing::asymmetric, 2, 1, 2, 1>>("two chunks, membarrier",
                                                                  in(model));
    expect_right<Cut<Atomics<>, Fencing::symmetric, 2, 1, 2, 1>>("two chunks, fences", in(model));
    expect_right<Cut<Atomics<>, Fencing::symmetric, 2, 2, 3, 0>>("three chunks, fences", in(model));
  }
}

TEST_CASE("a missing barrier is found") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_found<Cut<NoFences, Fencing::symmetric, 3, 1, 1, 1>>(
        "no fences", "an item is run and taken back", in(model));
    expect_found<Cut<NoMembarrier, Fencing::asymmetric, 3, 1, 1, 1>>(
        "no membarrier", "an item is run and taken back", in(model));
  }
}

TEST_CASE("stores without order are found") {
  using NoRelease = Atomics<Mutant::none, Without::release>;
  using NoAcquire = Atomics<Mutant::none, Without::acquire>;
  expect_found<Cut<NoRelease, Fencing::symmetric, 2, 1, 2, 1>>(
      "no release", "an item is run and taken back", in(Model::weak));
  expect_found<Cut<NoAcquire, Fencing::symmetric, 2, 1, 2, 1>>(
      "no acquire", "an item is run and taken back", in(Model::weak));
}
