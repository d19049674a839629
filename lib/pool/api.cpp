// The pool's side of the narrow door: include/pinion/detail/pool_core.hpp.

#include <pinion/detail/pool_core.hpp>
#include <pinion/errors.hpp>
#include <pinion/shared_array.hpp>

#include "lib/pool/core.hpp"
#include "lib/pool/remote_exception.hpp"
#include "lib/pool/side.hpp"
#include "lib/pool/throw_anew.hpp"

namespace pinion::detail {

namespace {

pool::Core& core_of(PoolCore& pool) { return static_cast<pool::Core&>(pool); }
const pool::Core& core_of(const PoolCore& pool) { return static_cast<const pool::Core&>(pool); }
pool::Core& core_of(LedgerEntry& entry) { return pool::Ledger::of(entry).core(); }

}  // namespace

void end_pool(PoolCore& pool, bool unwinding) noexcept { core_of(pool).end(unwinding); }

LedgerEntry* submit(PoolCore& pool, const Submission& submission) {
  return core_of(pool).submit(submission);
}

LedgerEntry* submit_map(PoolCore& pool, std::unique_ptr<MapJob> job, const TaskOptions* options) {
  return core_of(pool).submit_map(std::move(job), options);
}

bool wait(LedgerEntry& entry, std::int64_t limit_ns) {
  return entry.done() || core_of(entry).wait(entry, limit_ns);
}

bool poll_done(LedgerEntry& entry) {
  if (entry.done()) return true;
  core_of(entry).poll();
  return entry.done();
}

bool cancel(LedgerEntry& entry) { return core_of(entry).cancel(entry); }

ResultView view(LedgerEntry& entry) {
  Side* const side = entry.side;
  if (side == nullptr) return {entry.outcome, {entry.data, entry.bytes}, nullptr};
  if (side->job != nullptr) return {entry.outcome, {}, side->job.get()};
  if (entry.outcome == Outcome::value) {
    if (core_of(entry).read_in_place(entry)) {
      return {entry.outcome, {side->segment->begin() + side->offset, side->bytes}, nullptr, true};
    }
    if (side->owned.empty()) return {entry.outcome, {entry.data, entry.bytes}, nullptr};
  }
  return {entry.outcome, side->owned, nullptr};
}

void end_reading(LedgerEntry& entry) noexcept { core_of(entry).end_reading(entry); }

bool has_error(LedgerEntry& entry) noexcept {
  if (entry.outcome == Outcome::mapped) {
    const MapJob& job = *entry.side->job;
    return job.error_item != ~std::uint64_t{0} || job.ended_error != nullptr;
  }
  return entry.outcome != Outcome::value;
}

void throw_error(LedgerEntry& entry) {
  if (entry.outcome == Outcome::value) [[likely]]
    return;
  if (!has_error(entry)) return;
  const Side& side = *entry.side;
  if (entry.outcome == Outcome::remote_error) pool::throw_remote(side.owned);
  if (entry.outcome == Outcome::local_error) pool::throw_anew(side.error);
  const MapJob& job = *side.job;
  if (job.error_item == ~std::uint64_t{0}) pool::throw_anew(job.ended_error);
  if (job.local_error != nullptr) pool::throw_anew(job.local_error);
  pool::throw_remote(job.remote_error);
}

std::exception_ptr error_of(LedgerEntry& entry) noexcept {
  try {
    throw_error(entry);
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

void when_done(LedgerEntry& entry, std::function<void()> f) {
  core_of(entry).when_done(entry, std::move(f));
}

void* shared_value(LedgerEntry& entry, const std::function<std::shared_ptr<void>()>& make) {
  Side& side = core_of(entry).side_of(entry);
  const std::lock_guard lock(side.value_mutex);
  if (side.value == nullptr) side.value = make();
  return side.value.get();
}

void drop_entry(LedgerEntry& entry) noexcept {
  if (!set_dropped(entry.state)) return;  // whoever ends it gives it back
  if (entry.side == nullptr) [[likely]] {
    pool::Ledger::give(entry);
  } else {
    core_of(entry).release(entry);
  }
}

CodeMap* result_code(LedgerEntry& entry) noexcept { return core_of(entry).result_code(); }

ArrayHandle make_array(PoolCore& pool, std::size_t bytes) {
  return core_of(pool).make_array(bytes);
}

void close_pool(PoolCore& pool) { core_of(pool).close(); }
void terminate_pool(PoolCore& pool) { core_of(pool).terminate(); }
bool join_pool(PoolCore& pool, std::int64_t limit_ns) { return core_of(pool).join(limit_ns); }
void give_one_life(PoolCore& pool) { core_of(pool).give_one_life(); }
void signal_workers(PoolCore& pool, int number) noexcept { core_of(pool).signal_workers(number); }
unsigned process_count(const PoolCore& pool) noexcept { return core_of(pool).workers(); }
std::vector<WorkerInfo> worker_infos(const PoolCore& pool) { return core_of(pool).infos(); }
/// What has ended counts as ended, although nobody waits for it.
PoolStats pool_stats(const PoolCore& pool) {
  auto& core = const_cast<pool::Core&>(core_of(pool));
  core.poll();
  return core.stats();
}

}  // namespace pinion::detail
