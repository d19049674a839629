// Memory that a program and the workers of its pool share, and both may write.
#pragma once

#include <pinion/detail/array_block.hpp>
#include <pinion/detail/codec_travels.hpp>
#include <pinion/detail/pool_core.hpp>

#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace pinion {

class Pool;

namespace detail {

struct SharedArrayAccess;

/// A new array of `bytes` bytes, zeroed. Throws `ResourceError`, `PoolClosed`.
PINION_API ArrayHandle make_array(PoolCore& pool, std::size_t bytes);

/// Opens a pool for what is made from one. Defined in <pinion/pool.hpp>.
struct CoreOf {
  static PoolCore& pool(Pool& pool) noexcept;
};

}  // namespace detail

/// The elements of a `SharedArray`, for the captures of a lambda: trivially copyable, a pointer and
/// a length that mean the same in the program and in every worker of its pool.
///
/// It is valid while a handle of its array lives. It does not travel as an argument, a result or a
/// member of one: pass the `SharedArray` for that, which keeps the array alive.
template <class T>
class ArrayView {
 public:
  using element_type = T;
  using value_type = T;

  ArrayView() noexcept = default;
  ArrayView(T* data, std::size_t size) noexcept : data_(data), size_(size) {}

  [[nodiscard]] T* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  /// Not checked, as of a `std::span`.
  T& operator[](std::size_t i) const noexcept { return data_[i]; }
  [[nodiscard]] T* begin() const noexcept { return data_; }
  [[nodiscard]] T* end() const noexcept { return data_ + size_; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

/// An array in memory that the program and the workers of one pool share. Both may read and write
/// it; nobody orders what they do at the same time but the tasks' own beginnings and ends (and
/// `std::atomic_ref`).
///
/// This is a handle, as `std::shared_ptr` is one: a copy is another handle of the same array, and
/// `const` says nothing about the elements. It travels as an argument, a result, or a member of
/// one, in a few bytes whatever the array's size. The array lives while a handle does, in the
/// program or in a worker; it may outlive the pool. A task's arguments count as handles until its
/// result is gone. A result can name an array that its task was given, or one that the worker has
/// kept a handle of.
///
/// T is trivially copyable and has no visible pointers. Its elements begin as zero bytes.
template <class T>
class SharedArray {
  static_assert(std::is_trivially_copyable_v<T> && std::is_same_v<T, std::remove_cv_t<T>>,
                "pinion: a SharedArray holds trivially copyable values: both sides see its bytes.");
  static_assert(detail::is_flat<T>,
                "pinion: a SharedArray cannot hold pointers: what they point at is not shared.");
  static_assert(alignof(T) <= 4096, "pinion: a SharedArray begins on a page of 4096 bytes.");

 public:
  using element_type = T;
  using value_type = T;

  SharedArray() noexcept = default;  ///< empty: of no pool, with no elements

  /// Makes an array of `size` elements, which are zero, in the memory of `pool`. It counts against
  /// `PoolOptions::arena_bytes` and is committed at once. Throws `ResourceError` that names the
  /// limit, and `PoolClosed`. O(bytes).
  SharedArray(Pool& pool, std::size_t size) : block_(make(pool, size)) {}

  /// Valid while a handle lives.
  [[nodiscard]] ArrayView<T> view() const noexcept { return {data(), size()}; }
  operator std::span<T>() const noexcept { return {data(), size()}; }

  [[nodiscard]] T* data() const noexcept {
    return block_ == nullptr ? nullptr : std::launder(reinterpret_cast<T*>(block_->data));
  }
  [[nodiscard]] std::size_t size() const noexcept {
    return block_ == nullptr ? 0 : static_cast<std::size_t>(block_->name.bytes / sizeof(T));
  }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  /// Not checked, as of a `std::span`.
  T& operator[](std::size_t i) const noexcept { return data()[i]; }
  [[nodiscard]] T* begin() const noexcept { return data(); }
  [[nodiscard]] T* end() const noexcept { return data() + size(); }

  /// Whether both name the same array.
  friend bool operator==(const SharedArray& a, const SharedArray& b) noexcept {
    return a.data() == b.data();
  }

 private:
  friend struct detail::SharedArrayAccess;
  explicit SharedArray(detail::ArrayHandle block) noexcept : block_(std::move(block)) {}

  static detail::ArrayHandle make(Pool& pool, std::size_t size) {
    if (size > std::numeric_limits<std::size_t>::max() / sizeof(T))
      throw std::bad_array_new_length();
    return detail::make_array(detail::CoreOf::pool(pool), size * sizeof(T));
  }

  detail::ArrayHandle block_;
};

namespace detail {

struct SharedArrayAccess {
  template <class T>
  static const ArrayHandle& handle(const SharedArray<T>& array) noexcept {
    return array.block_;
  }
  template <class T>
  static SharedArray<T> from(ArrayHandle handle) noexcept {
    return SharedArray<T>(std::move(handle));
  }
};

/// A handle: the array's name.
template <class T>
struct StandardWire<SharedArray<T>> {
  using Inner = TypeList<>;
  static constexpr bool names_array = true;
  static constexpr FixedSize fixed = sizeof(ArrayName);
  static constexpr std::size_t least = sizeof(ArrayName);
  static constexpr std::size_t measure(const SharedArray<T>&, unsigned) noexcept { return least; }
  static void write(Writer& writer, const SharedArray<T>& v) {
    const ArrayHandle& handle = SharedArrayAccess::handle(v);
    writer.value(handle == nullptr ? ArrayName() : handle->name);
    if (handle != nullptr) writer.keep(handle);
  }
  static SharedArray<T> read(Reader& reader) {
    const auto name = reader.value<ArrayName>();
    if (name == ArrayName()) return {};
    ArrayHandle handle = reader.code().array(name);
    if (handle->name.bytes % sizeof(T) != 0) throw_encoding_error("a shared array of another type");
    return SharedArrayAccess::from<T>(std::move(handle));
  }
};

template <class T>
inline constexpr Refusal named_refusal<ArrayView<T>> = Refusal::array_view;
template <class T>
inline constexpr bool is_borrowed<ArrayView<T>> = true;

}  // namespace detail
}  // namespace pinion
