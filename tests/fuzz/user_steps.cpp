// The user's steps, each as the public calls do it.
#include "fuzz/user_steps.hpp"

#include <pinion/errors.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "lib/pool/locked.hpp"
#include "lib/pool/remote_exception.hpp"
#include "lib/pool/side.hpp"

namespace fuzz {

using pinion::TaskOptions;
using pool::Lane;

namespace {

constexpr std::size_t entries_max = 64;
constexpr unsigned items_max = 600;

std::uint8_t task_flags(std::uint8_t bits) {
  return static_cast<std::uint8_t>((bits & 1) != 0 ? ring::task_is_coroutine : 0);
}
TaskOptions timed() {
  TaskOptions options;
  options.timeout = std::chrono::milliseconds(5);
  options.grace = std::chrono::milliseconds(5);
  return options;
}

void look_at(const std::exception_ptr& error) {
  if (error == nullptr) found("an error is missing");
  try {
    std::rethrow_exception(error);
  } catch (const pinion::RemoteError& e) {
    static_cast<void>(e.describe());
  } catch (const std::exception& e) {
    static_cast<void>(std::string(e.what()));
  } catch (...) {
    found("an error that is no std::exception");
  }
}
void look_at_error(std::span<const std::byte> bytes) {
  if (bytes.size() > pool::exception_bytes_max) found("an error is larger than any can be");
  look_at(pool::decode_exception(bytes));
}

}  // namespace

bool UserSteps::full() const { return given_.size() >= entries_max || stopped_; }

void UserSteps::apply() {
  const std::uint8_t bits = in_.byte();
  const std::size_t size = (bits & 8) != 0 ? in_.number<std::uint16_t>() * 8U : in_.below(64);
  if (full()) return;
  const TaskOptions options = timed();
  given_.push_back(
      {&pool_.submit(task_flags(bits), size, (bits & 2) != 0 ? &options : nullptr), nullptr});
  if ((bits & 4) != 0) drop_at(given_.size() - 1);
}

void UserSteps::map() {
  const std::uint8_t bits = in_.byte();
  JobShape shape;
  shape.result_type = in_.byte();
  shape.items = 1U + in_.number<std::uint16_t>() % items_max;
  shape.chunk_items = in_.byte();
  shape.item_bytes = in_.byte();
  shape.coroutine = (bits & 1) != 0;
  if (full()) return;
  auto job = make_job(shape);
  CountingJob* const kept = job.get();
  const TaskOptions options = timed();
  given_.push_back({&pool_.submit_map(std::move(job), (bits & 2) != 0 ? &options : nullptr), kept});
}

UserSteps::Given* UserSteps::some_given() {
  const std::uint8_t i = in_.byte();
  return given_.empty() ? nullptr : &given_[i % given_.size()];
}

void UserSteps::cancel() {
  Given* const given = some_given();
  if (given == nullptr) return;
  for (unsigned i = 0; i < pool_.workers; ++i) pool_.drain(i);
  const pool::Locked lock(pool_.state);
  const bool was_done = given->entry->done();
  const bool cancelled =
      pool_.takeback.cancel(*given->entry, std::make_exception_ptr(pinion::Cancelled()));
  if (cancelled && (was_done || !given->entry->done())) found("cancel told a lie");
  pool_.dispatcher.feed();
}

/// As `get` does it.
void UserSteps::decode() {
  Given* const given = some_given();
  const unsigned type = in_.byte();
  if (given != nullptr) decode(*given, type);
}

void UserSteps::decode(Given& given, unsigned type) {
  LedgerEntry& entry = *given.entry;
  if (!entry.done()) return;
  const pinion::detail::Side* const side = entry.side;
  switch (entry.outcome) {
    case pinion::detail::Outcome::value:
      if (side != nullptr && side->segment != nullptr) {
        const std::uint64_t end = side->segment->committed();
        if (side->offset > end || side->bytes > end - side->offset) {
          found("a value lies outside its worker's memory");
        }
        decode_value(type, {side->segment->begin() + side->offset, side->bytes});
      } else if (side != nullptr && !side->owned.empty()) {
        decode_value(type, side->owned);
      } else {
        decode_value(type, {entry.data, entry.bytes});
      }
      return;
    case pinion::detail::Outcome::remote_error:
      return look_at_error(side->owned);
    case pinion::detail::Outcome::local_error:
      return look_at(side->error);
    case pinion::detail::Outcome::mapped: {
      const CountingJob& job = *given.job;
      if (job.error_item != ~std::uint64_t{0}) {
        if (job.error_item >= job.items) found("a map's error is of an item that it has not");
        if (job.local_error != nullptr) return look_at(job.local_error);
        return look_at_error(job.remote_error);
      }
      if (job.ended_error != nullptr) return look_at(job.ended_error);
      if (!std::exchange(given.decoded, true)) given.job->decode();
      return;
    }
    case pinion::detail::Outcome::none:
      found("an entry is done and has no outcome");
  }
}

void UserSteps::drop() {
  const std::uint8_t i = in_.byte();
  if (!given_.empty()) drop_at(i % given_.size());
}

void UserSteps::drop_at(std::size_t i) {
  LedgerEntry& entry = *given_[i].entry;
  given_.erase(given_.begin() + static_cast<std::ptrdiff_t>(i));
  const pool::Locked lock(pool_.state);
  if (entry.done()) {
    pool_.settler.release(entry);
  } else {
    entry.state.fetch_or(pinion::detail::entry_dropped);
  }
}

void UserSteps::stop() {
  if (in_.byte() != 0 || stopped_) return;  // seldom: nothing much comes after it
  stopped_ = true;
  pool_.state.phase = pool::State::Phase::terminated;
  for (unsigned i = 0; i < pool_.workers; ++i) pool_.drain(i);
  const pool::Locked lock(pool_.state);
  pool_.takeback.stop_everything();
  for (unsigned i = 0; i < pool_.workers; ++i) {
    if (pool_.lane(i).alive()) pool_.lane(i).state = Lane::State::killed;
  }
}

void UserSteps::leave() {
  for (Given& given : given_) {
    if (!given.entry->done()) found("a task has not ended");
    decode(given, in_.byte());
  }
  while (!given_.empty()) drop_at(given_.size() - 1);
}

}  // namespace fuzz
