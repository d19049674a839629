// A map: how its items are encoded, chunk by chunk, and the loop that a worker runs over them.
#pragma once

#include <cxxabi.h>
#include <pinion/detail/call.hpp>
#include <pinion/detail/pool_core.hpp>

#include <cstddef>
#include <cstring>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace pinion::detail {

/// The items of a chunk as the worker reads them.
///
/// Items of one size lie side by side; others each after their length (64 bits), so that one that
/// does not decode harms no other. A flat item that is aligned is read where it lies.
template <class T>
class ChunkItems {
 public:
  static constexpr FixedSize stride = fixed_size<T>;
  static constexpr bool in_place = is_block<T> && alignof(T) <= 8;

  ChunkItems(Reader& reader, CodeMap* code) : reader_(reader), code_(code) {}

  /// The items must be asked for in order.
  T next() {
    if constexpr (stride) {
      const std::byte* at = reader_.take(*stride);
      Reader one(at, at + *stride, code_);
      return decode<T>(one);
    } else {
      const auto size = reader_.template number<std::uint64_t>();
      const std::byte* at = reader_.take(size);
      Reader one(at, at + size, code_);
      return decode<T>(one);
    }
  }

 private:
  Reader& reader_;
  CodeMap* code_;
};

/// Where items begin behind the callable: aligned, so that flat ones can be read in place.
constexpr std::size_t items_at(std::size_t callable_bytes) noexcept {
  return (callable_bytes + 7) / 8 * 8;
}

/// How an item becomes arguments: as the only one, or taken apart (T is a tuple).
enum class Spread : bool { no, yes };

template <class F, class T, Spread spread = Spread::no>
struct MapThunk {
  using Tuple = std::conditional_t<spread == Spread::yes, T, std::tuple<T>>;
  using Result = decltype(invoke_with(std::declval<F&>(), std::declval<Tuple&>()));
  using Value = value_of_result<Result>;
  static constexpr bool coroutine = is_task<std::remove_cvref_t<Result>>;

  static consteval std::uint32_t find_stride() {
    if constexpr (std::is_void_v<Value>) {
      return 0;
    } else {
      return static_cast<std::uint32_t>(fixed_size<Value>.value_or(TaskFrame::variable));
    }
  }
  static constexpr std::uint32_t stride = find_stride();

  static void run(TaskFrame& task) {
    Reader reader(task.arguments, task.arguments + task.argument_bytes, task.code);
    if constexpr (coroutine) {
      task.result_stride = stride;
      start_item(task, reader);
    } else {
      F f = take_callable(reader);
      if (task.count == 1) {
        run_one(task, f, reader);
      } else {
        run_chunk(task, f, reader);
      }
    }
  }

 private:
  static F take_callable(Reader& reader) {
    const std::size_t before = reader.left();
    F f = decode_callable<F>(reader);
    const std::size_t used = before - reader.left();
    static_cast<void>(reader.take(items_at(used) - used));
    return f;
  }

  /// By value: what `f` refers to may be its argument, which ends here.
  static Value call(F& f, T&& item) {
    Tuple arguments(std::move(item));
    return invoke_with(f, arguments);
  }

  static void run_one(TaskFrame& task, F& f, Reader& reader) {
    ChunkItems<T> items(reader, task.code);
    if constexpr (std::is_void_v<Value>) {
      call(f, items.next());
    } else {
      put_result<Value>(task, call(f, items.next()));
    }
  }

  static void run_chunk(TaskFrame& task, F& f, Reader& reader) {
    std::byte* const values = task.begin_chunk(stride);
    const std::uint32_t count = task.count;
    if constexpr (ChunkItems<T>::in_place) {
      const std::byte* const bytes = reader.take(std::size_t{count} * sizeof(T));
      const T* const items = reinterpret_cast<const T*>(bytes);
      run_strips(
          task, values, count, [&](std::uint32_t i) { return T(items[i]); }, f);
    } else {
      ChunkItems<T> items(reader, task.code);
      run_strips(
          task, values, count, [&](std::uint32_t) { return items.next(); }, f);
    }
  }

  template <class Item>
  static void run_strips(TaskFrame& task, std::byte* values, std::uint32_t count, Item&& item,
                         F& f) {
    std::uint32_t done = 0;
    while (done < count) {
      if (task.timed) task.stamp();
      const std::uint32_t n = task.cursor.advance(done, count);
      if (n == 0) break;
      for (std::uint32_t i = done; i < done + n;) {
        i = run_until_error(task, values, i, done + n, item, f);
        if (task.failed && task.stops_at_error) {
          task.done = i;
          return;
        }
      }
      done += n;
    }
    task.done = done;
  }

  /// Runs items [i, end); returns the one after the last that has an outcome.
  template <class Item>
  static std::uint32_t run_until_error(TaskFrame& task, std::byte* values, std::uint32_t i,
                                       std::uint32_t end, Item&& item, F& f) {
    try {
      for (; i < end; ++i) {
        task.item = i;
        run_item(task, values, i, item(i), f);
      }
    } catch (const abi::__forced_unwind&) {
      throw;  // pthread_exit: the end of the thread, not of the item
    } catch (...) {
      task.item_failed(i);
      task.failed = true;
      ++i;
    }
    return i;
  }

  static void run_item(TaskFrame& task, std::byte* values, std::uint32_t i, T&& item, F& f) {
    if constexpr (std::is_void_v<Value>) {
      call(f, std::move(item));
    } else if constexpr (stride != TaskFrame::variable) {
      std::byte* const at = values + std::size_t{i} * stride;
      const Value value = call(f, std::move(item));
      Writer writer(at, at + stride, task.code);
      encode(writer, value);
    } else {
      const Value value = call(f, std::move(item));
      const std::size_t size = encoded_size(value);
      std::byte* const at = task.item_block(i, size);
      Writer writer(at, at + size, task.code);
      encode(writer, value);
    }
  }

  /// Makes the coroutine of item `task.item`; the worker asks for them in order.
  static void start_item(TaskFrame& task, Reader& reader) {
    F f = take_callable(reader);
    const std::size_t begin = task.argument_bytes - reader.left();
    if (task.item != 0) static_cast<void>(reader.take(task.next_item_at - begin));
    // Where the next one begins is settled first: an item that does not decode harms no other.
    if constexpr (ChunkItems<T>::stride) {
      task.next_item_at = task.argument_bytes - reader.left() + *ChunkItems<T>::stride;
    } else {
      Reader length = reader;
      const auto size = length.template number<std::uint64_t>();
      task.next_item_at = task.argument_bytes - length.left() + size;
    }
    ChunkItems<T> items(reader, task.code);
    Tuple arguments(items.next());
    task.coroutine =
        CallThunk<F, Tuple>::drive(std::move(f), std::move(arguments), *task.sink, task.code)
            .release(task.sink->on_end, task.sink);
  }
};

/// The values of a map as the collector leaves them: side by side where all are of one size, else
/// each in a piece of its own.
class MapValues {
 public:
  struct Piece {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size = 0;
  };
  std::vector<Piece> pieces;          // where sizes differ
  std::unique_ptr<std::byte[]> flat;  // where they do not
};

/// What `get` needs of a map: its values in order, decoded by the thread that asks.
template <class R>
class TypedMapJob : public MapJob {
 public:
  explicit TypedMapJob(std::uint64_t n) {
    items = n;
    result_stride = MapThunkStride();
    if constexpr (std::is_void_v<R>) {
      return;
    } else if constexpr (kept_as_vector) {
      vector_.resize(n);
      place_ = reinterpret_cast<std::byte*>(vector_.data());
    } else if constexpr (fixed) {
      values_.flat = std::make_unique_for_overwrite<std::byte[]>(n * *fixed_size<R>);
      place_ = values_.flat.get();
    } else {
      values_.pieces.resize(n);
    }
  }

  void take_value(std::uint64_t item, std::span<const std::byte> bytes) final {
    if constexpr (!std::is_void_v<R>) {
      if constexpr (fixed) {
        if (bytes.size() != *fixed_size<R>) {
          throw_encoding_error("a worker sent a result of the wrong size");
        }
        std::memcpy(place_ + item * *fixed_size<R>, bytes.data(), bytes.size());
      } else {
        auto& piece = values_.pieces[item];
        piece.bytes = std::make_unique_for_overwrite<std::byte[]>(bytes.size());
        piece.size = bytes.size();
        if (!bytes.empty()) std::memcpy(piece.bytes.get(), bytes.data(), bytes.size());
      }
    }
  }

  void take_values(std::uint64_t first, std::uint32_t count, const std::byte* bytes) final {
    if constexpr (!std::is_void_v<R>) {
      if constexpr (fixed) {
        constexpr std::size_t size = *fixed_size<R>;
        std::memcpy(place_ + first * size, bytes, std::size_t{count} * size);
      }
    }
  }

  /// Called once the entry is done and has no error; once.
  auto take_result(CodeMap* code) requires(!std::is_void_v<R>) {
    if constexpr (kept_as_vector) {
      return std::move(vector_);
    } else {
      std::vector<R> result;
      result.reserve(items);
      for (std::uint64_t i = 0; i < items; ++i) {
        Reader reader = piece(i, code);
        result.push_back(decode<R>(reader));
      }
      return result;
    }
  }

 private:
  static constexpr bool fixed = [] {
    if constexpr (std::is_void_v<R>) {
      return false;
    } else {
      return fixed_size<R>.has_value();
    }
  }();
  static constexpr bool kept_as_vector = [] {
    if constexpr (std::is_void_v<R>) {
      return false;
    } else {
      return is_block<R> && std::is_default_constructible_v<R>;
    }
  }();
  static constexpr std::uint32_t MapThunkStride() {
    if constexpr (std::is_void_v<R>) {
      return 0;
    } else {
      return static_cast<std::uint32_t>(fixed_size<R>.value_or(TaskFrame::variable));
    }
  }

  Reader piece(std::uint64_t i, CodeMap* code) const {
    if constexpr (fixed) {
      const std::byte* at = place_ + i * *fixed_size<R>;
      return Reader(at, at + *fixed_size<R>, code);
    } else {
      const auto& p = values_.pieces[i];
      return Reader(p.bytes.get(), p.bytes.get() + p.size, code);
    }
  }

  using Vector = std::conditional_t<kept_as_vector, std::vector<R>, std::vector<char>>;
  Vector vector_;
  MapValues values_;
  std::byte* place_ = nullptr;
};

/// A map over items that it owns or that outlive it.
template <class F, class T, class Items, Spread spread = Spread::no>
class RangeMapJob final : public TypedMapJob<typename MapThunk<F, T, spread>::Value> {
  using Thunks = MapThunk<F, T, spread>;

 public:
  RangeMapJob(F f, Items given)
      : TypedMapJob<typename Thunks::Value>(given.size()),
        f_(std::move(f)),
        items_(std::move(given)),
        callable_bytes_(callable_size(f_)) {
    this->thunk = reinterpret_cast<const void*>(&Thunks::run);
    this->coroutine = Thunks::coroutine;
    this->item_bytes_hint = fixed_size<T>.value_or(64) +
                            (this->result_stride == TaskFrame::variable ? 64 : this->result_stride);
  }

  [[nodiscard]] std::size_t chunk_bytes(std::uint64_t first, std::uint32_t count) const final {
    std::size_t bytes = items_at(callable_bytes_);
    if constexpr (fixed_size<T>) {
      bytes += std::size_t{count} * *fixed_size<T>;
    } else {
      for (std::uint64_t i = first; i < first + count; ++i) {
        bytes += sizeof(std::uint64_t) + encoded_size<T>(items_[i]);
      }
    }
    return bytes;
  }

  void write_chunk(std::uint64_t first, std::uint32_t count, Writer& writer) const final {
    encode_callable(writer, f_);
    constexpr std::byte zeros[8] = {};
    writer.bytes(zeros, items_at(callable_bytes_) - callable_bytes_);
    if constexpr (is_block<T> && Items::contiguous) {
      writer.bytes(&items_[first], std::size_t{count} * sizeof(T));
    } else {
      for (std::uint64_t i = first; i < first + count; ++i) {
        if constexpr (!fixed_size<T>) writer.count(encoded_size<T>(items_[i]));
        encode<T>(writer, items_[i]);
      }
    }
  }

 private:
  F f_;
  Items items_;
  std::size_t callable_bytes_;
};

}  // namespace pinion::detail
