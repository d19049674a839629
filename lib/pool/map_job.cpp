// What a map keeps of its errors.

#include <pinion/detail/pool_core.hpp>

namespace pinion::detail {

void MapJob::take_remote_error(std::uint64_t item, std::span<const std::byte> bytes) noexcept {
  if (item >= error_item) return;
  error_item = item;
  local_error = nullptr;
  try {
    remote_error.assign(bytes.begin(), bytes.end());
  } catch (...) {  // no memory for its text
    local_error = std::current_exception();
  }
}

void MapJob::take_error(std::uint64_t first, std::uint32_t,
                        const std::exception_ptr& error) noexcept {
  if (first >= error_item) return;
  error_item = first;
  remote_error.clear();
  local_error = error;
}

void MapJob::take_stop(std::uint64_t, std::uint32_t, const std::exception_ptr& error) noexcept {
  if (ended_error == nullptr) ended_error = error;
}

}  // namespace pinion::detail
