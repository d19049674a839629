// expect: Specialise pinion::codec for it
#include <pinion/detail/callable_check.hpp>

class Mesh {
  std::string s_;

 public:
  int size() const;
};

int f(Mesh);
void check() { pinion::detail::require_callable<decltype(f), Mesh>(); }
