#include "tests/explore/operation.hpp"

namespace explore {

namespace {

bool fences(const Operation& op) {
  return op.kind == Operation::fence || op.kind == Operation::barrier;
}
bool has_place(const Operation& op) { return op.kind != Operation::resume && !fences(op); }
bool only_looks(const Operation& op) {
  return op.kind == Operation::load || op.kind == Operation::pause;
}

}  // namespace

bool Operation::empties_buffer() const noexcept {
  switch (kind) {
    case resume:
    case load:
    case pause:
      return false;
    case store:
      return sc;
    default:
      return true;
  }
}

bool Dependence::operator()(Transition a, const Operation& x, Transition b,
                            const Operation& y) const noexcept {
  if (a == b) return true;
  if (a % threads_ == b % threads_) return false;
  if (x.kind == Operation::resume || y.kind == Operation::resume) return false;
  if (model_ == Model::tso) {
    // A store goes into its thread's own buffer. Fences and membarrier wait for buffers, and that
    // is all that they do.
    const auto hidden = [&](Transition t, const Operation& op) {
      return t < threads_ && op.kind == Operation::store && !op.sc;
    };
    const auto holds_up = [&](const Operation& barrier, Transition t, const Operation& op) {
      return barrier.kind == Operation::barrier && barrier.other == t && hidden(t, op);
    };
    if (holds_up(x, b, y) || holds_up(y, a, x)) return true;
    if (hidden(a, x) || hidden(b, y)) return false;
  } else {
    // A barrier changes what its target sees.
    const auto reaches = [](const Operation& barrier, Transition t) {
      return barrier.kind == Operation::barrier && barrier.other == t;
    };
    if (reaches(x, b)) return y.kind != Operation::pause;
    if (reaches(y, a)) return x.kind != Operation::pause;
    if (fences(x) && (fences(y) || y.sc)) return true;
    if (fences(y) && x.sc) return true;
  }
  if (!has_place(x) || !has_place(y) || x.at != y.at) return false;
  return !only_looks(x) || !only_looks(y) || (x.sc && y.sc);
}

}  // namespace explore
