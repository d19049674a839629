// What tasks and their values name, in a worker: functions and shared arrays.

#include <pinion/errors.hpp>

#include <memory>

#include "workers/held_arrays.hpp"
#include "workers/worker.hpp"

namespace pinion::workers {

Worker::CodeView::~CodeView() {
  if (arrays_ != nullptr) arrays_->close();
}

detail::ArrayHandle Worker::CodeView::array(const detail::ArrayName& name) {
  if (channel_.local_arrays != nullptr) return channel_.local_arrays->find(name);
  if (arrays_ == nullptr) arrays_ = std::make_shared<HeldArrays>(channel_);
  return arrays_->find(name);
}

std::uint64_t Worker::CodeView::to_token(const void*) {
  throw EncodingError("a function pointer cannot come back from a worker as a result");
}

}  // namespace pinion::workers
