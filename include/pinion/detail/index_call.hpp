// Loops over indices and over shared arrays: no item travels, only where a chunk begins and ends.
//
// The loop over a strip of a chunk is instantiated with the user's function in it, over plain
// pointers and without a store beside the user's own, so that it becomes vector code where the
// function can.
#pragma once

#include <pinion/detail/map_call.hpp>
#include <pinion/shared_array.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>

namespace pinion::detail {

/// `f(i)` for each index. A call: it is written and read, and gives `loop` a body to run.
template <class F>
struct EachIndex {
  F f;

  [[nodiscard]] std::size_t bytes() const { return callable_size(f); }
  void write(Writer& writer) const { encode_callable(writer, f); }
  static EachIndex read(Reader& reader) { return {decode_callable<F>(reader)}; }

  template <class Loop>
  void run(Loop&& loop) {
    loop([g = std::move(f)](std::size_t i) mutable { static_cast<void>(std::invoke(g, i)); });
  }
};

/// `out[i] = f(in[i])`.
template <class F, class T, class U>
struct EachElement {
  F f;
  SharedArray<T> in;
  SharedArray<U> out;

  [[nodiscard]] std::size_t bytes() const { return callable_size(f) + 2 * sizeof(ArrayName); }
  void write(Writer& writer) const {
    encode_callable(writer, f);
    encode(writer, in);
    encode(writer, out);
  }
  static EachElement read(Reader& reader) {
    F f = decode_callable<F>(reader);
    auto in = decode<SharedArray<T>>(reader);
    return {std::move(f), std::move(in), decode<SharedArray<U>>(reader)};
  }

  template <class Loop>
  void run(Loop&& loop) {
    if constexpr (std::is_same_v<T, U>) {
      if (in == out) {  // with one pointer it needs no proof that two do not overlap
        loop([g = std::move(f), data = in.data()](std::size_t i) mutable {
          data[i] = static_cast<U>(std::invoke(g, std::as_const(data[i])));
        });
        return;
      }
    }
    loop([g = std::move(f), from = static_cast<const T*>(in.data()), to = out.data()](
             std::size_t i) mutable { to[i] = static_cast<U>(std::invoke(g, from[i])); });
  }
};

template <class Call>
struct IndexThunk {
  static void run(TaskFrame& task) {
    Reader reader(task.arguments, task.arguments + task.argument_bytes, task.code);
    Call call = Call::read(reader);
    call.run([&task](auto body) {
      if (task.count == 1) {
        body(task.first);
      } else {
        run_chunk(task, std::move(body));
      }
    });
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::uint32_t sample_items = 64;
  static constexpr std::uint32_t strip_items = 32;  // as the worker's
  static constexpr std::chrono::nanoseconds short_item{100};

  template <class Body>
  static void run_chunk(TaskFrame& task, Body body) {
    static_cast<void>(task.begin_chunk(0));
    const std::uint32_t count = task.count;
    // The manager knows an item's cost from the first answer on; a loop may be over by then.
    const bool unknown = task.cursor.strip == 1 && !task.timed && count > 2 * sample_items;
    const auto begin = unknown ? Clock::now() : Clock::time_point();
    std::uint32_t done = 0;
    while (done < count) {
      if (unknown && done == sample_items && Clock::now() - begin < sample_items * short_item) {
        task.cursor.strip = strip_items;
      }
      if (task.timed) task.stamp();
      const std::uint32_t n = task.cursor.advance(done, count);
      if (n == 0) break;
      for (const std::uint32_t end = done + n; done < end;) {
        done = run_until_error(task, done, end, body);
        if (task.failed && task.stops_at_error) {
          task.done = done;
          return;
        }
      }
    }
    task.done = done;
  }

  /// Runs items [item, end); returns the one after the last that has an outcome.
  template <class Body>
  static std::uint32_t run_until_error(TaskFrame& task, std::uint32_t item, std::uint32_t end,
                                       Body& body) {
    task.item = item;
    std::size_t i = task.first + item;
    const std::size_t behind = task.first + end;
    try {
      for (; i < behind; ++i) body(i);
      return end;
    } catch (...) {
      const auto failed = static_cast<std::uint32_t>(i - task.first);
      task.item_failed(failed);
      task.failed = true;
      return failed + 1;
    }
  }
};

/// A map without items of its own, and without values.
template <class Call>
class IndexJob final : public TypedMapJob<void> {
 public:
  IndexJob(Call call, std::uint64_t n) : TypedMapJob<void>(n), call_(std::move(call)) {
    thunk = reinterpret_cast<const void*>(&IndexThunk<Call>::run);
  }
  [[nodiscard]] std::size_t chunk_bytes(std::uint64_t, std::uint32_t) const final {
    return call_.bytes();
  }
  void write_chunk(std::uint64_t, std::uint32_t, Writer& writer) const final {
    call_.write(writer);
  }

 private:
  Call call_;
};

/// What a loop's function must be like, besides what every call must.
template <class F, class Argument>
constexpr void require_loop_callable() {
  require_callable<F, Argument>();
  static_assert(!is_task<std::remove_cvref_t<result_of<std::decay_t<F>, Argument>>>,
                "pinion: a loop over indices or shared arrays runs plain functions, item after "
                "item. For coroutines use map over the indices.");
}

}  // namespace pinion::detail
