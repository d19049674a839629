// Loops as call sites instantiate them, compiled as users do who care: loops_test.py looks for
// vector instructions in each. The names of the functors are what it looks for.
#include <pinion/pinion.hpp>

namespace {

using pinion::ArrayView;
using pinion::detail::EachElement;
using pinion::detail::EachIndex;
using pinion::detail::IndexThunk;

struct SquareDoubles {
  double operator()(double x) const { return x * x; }
};
struct SquareFloats {
  float operator()(float x) const { return x * x; }
};
/// Bytes may alias anything, what the loop itself keeps included.
struct AddBytes {
  unsigned char operator()(unsigned char x) const { return static_cast<unsigned char>(x + 3); }
};
struct ViewDoubles {
  ArrayView<double> from;
  ArrayView<double> to;
  void operator()(std::size_t i) const { to[i] = from[i] * from[i]; }
};
/// It cannot be vector code: shows that the test would see it.
struct ChainDoubles {
  ArrayView<double> to;
  void operator()(std::size_t i) const { to[i + 1] = to[i] * 1.5; }
};

}  // namespace

template <>
struct pinion::codec<ViewDoubles> {
  static std::size_t size(const ViewDoubles&) { return sizeof(ViewDoubles); }
  static void encode(pinion::Writer& to, const ViewDoubles& v) { to.value(v); }
  static ViewDoubles decode(pinion::Reader& from) { return from.value<ViewDoubles>(); }
};
template <>
struct pinion::codec<ChainDoubles> {
  static std::size_t size(const ChainDoubles&) { return sizeof(ChainDoubles); }
  static void encode(pinion::Writer& to, const ChainDoubles& v) { to.value(v); }
  static ChainDoubles decode(pinion::Reader& from) { return from.value<ChainDoubles>(); }
};

extern const pinion::detail::Thunk thunks[];
const pinion::detail::Thunk thunks[] = {
    &IndexThunk<EachElement<SquareDoubles, double, double>>::run,
    &IndexThunk<EachElement<SquareFloats, float, float>>::run,
    &IndexThunk<EachElement<AddBytes, unsigned char, unsigned char>>::run,
    &IndexThunk<EachIndex<ViewDoubles>>::run,
    &IndexThunk<EachIndex<ChainDoubles>>::run,
};
