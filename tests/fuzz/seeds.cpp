#include <initializer_list>

#include "fuzz/hostile_arena.hpp"

namespace fuzz {

namespace {

using Program = std::vector<std::uint8_t>;

/// One step: its name and its operands.
void add(Program& program, Op op, std::initializer_list<int> operands = {}) {
  program.push_back(static_cast<std::uint8_t>(op));
  for (const int operand : operands) program.push_back(static_cast<std::uint8_t>(operand));
}

constexpr int coroutine = 1;
constexpr int timed = 2;

/// `items` of a result type, in chunks of `chunk`.
void add_map(Program& program, int flags, int type, int items, int chunk, int item_bytes) {
  add(program, Op::map, {flags, type, items - 1, 0, chunk, item_bytes});
}

/// What honest workers do with all kinds of tasks.
Program honest(int memory, int flags) {
  Program program{static_cast<std::uint8_t>(memory)};
  for (int type = 0; type < 8; ++type) {
    add(program, Op::apply, {flags, 8 + type});
    add(program, Op::apply, {flags, 40 + type});
    add_map(program, flags, type, 40, type % 2 * 8, 4 + type * 8);
  }
  for (int i = 0; i < 40; ++i) {
    add(program, Op::answer, {i, 0, i * 7});
    if (i % 4 == 3) add(program, Op::collect);
    if (i % 8 == 7) add(program, Op::balance, {i});
    if (i == 10) add(program, Op::cancel, {2});
    if (i == 20) add(program, Op::bury, {0, 0});
    add(program, Op::decode, {i, i});
  }
  return program;
}

/// A chunk whose worker dies at some item, and one that is moved and cancelled in between.
Program dying(int flags, int type, int lies) {
  Program program{0};
  add_map(program, flags, type, 64, 16, 8);
  add(program, Op::chunk, {0, 0, lies / 3, lies, 3, 5, 1, 2, 3, 4});
  add(program, Op::balance, {0});
  add(program, Op::balance, {0});
  add(program, Op::chunk, {1, 0, 0, 0, 0, 0});
  add(program, Op::cancel, {0});
  add(program, Op::answer, {1, 0, 0});
  add(program, Op::drain, {1});
  add(program, Op::bury, {0, 0});
  add_map(program, flags, type, 100, 50, 1);
  add(program, Op::chunk, {0, 0, 1, lies, 40, 41});
  add(program, Op::limits, {30});
  add(program, Op::bury, {0, 0});
  add(program, Op::bury, {1, 1});
  return program;
}

/// Each kind of message with one field that lies, and messages of other times.
Program lying(int memory, int kind) {
  Program program{static_cast<std::uint8_t>(memory)};
  for (int lie = 0; lie < 128; lie = lie == 0 ? 1 : lie * 2) {
    add(program, Op::apply, {timed, 8});
    add(program, Op::apply, {coroutine, 200});
    add_map(program, lie % 3, lie % 8, 30, 10, 4);
    add(program, Op::error, {0, 0, 0, lie});
    add(program, Op::forge, {0, 0, lie, kind, lie % 2, 8, 3, 1, 2, 1, 2, 1, 1, 0, 0, 1});
    add(program, Op::collect);
    add(program, Op::decode, {0, 2});
    if (lie % 4 == 0) add(program, Op::bury, {0, 0});
  }
  return program;
}

/// A value whose end, added up, wraps round to lie inside.
Program wrapping() {
  Program program{0};
  for (int less = 0; less < 40; less += 9) {
    add(program, Op::apply, {0, 8});
    add(program, Op::forge, {0, 0, 0, 1, 0, 0, 1, 64, 0, 3, less, 0, 0, 0, 0});
    add(program, Op::drain, {0});
    add(program, Op::bury, {0, 0});
  }
  return program;
}

/// Words of the worker that lead somewhere else.
Program witnesses(int word) {
  Program program{0};
  for (int i = 0; i < 6; ++i) add(program, Op::apply, {i % 4, 8});
  add_map(program, 0, 0, 60, 20, 8);
  for (int kind = 0; kind < 14; ++kind) {
    add(program, Op::word, {0, word, kind, kind, 1, 0, 255, 3});
    add(program, Op::balance, {0});
    add(program, Op::cancel, {kind});
    add(program, Op::controls);
    add(program, Op::limits, {40});
    add(program, Op::note, {0});
    add(program, Op::apply, {coroutine, 8});
  }
  add(program, Op::bury, {0, 0});
  return program;
}

/// Asks for space that nobody needs, and reads no answer.
Program greedy(int memory) {
  Program program{static_cast<std::uint8_t>(memory)};
  for (int i = 0; i < 4; ++i) {
    add(program, Op::apply, {0, 8});
    for (int n = 0; n < 6; ++n) {
      add(program, Op::forge, {0, 0, 64, 7, 0, 0, i * 4, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 250});
      add(program, Op::drain, {0});
    }
    add(program, Op::bury, {0, 0});
  }
  return program;
}

Program stopped() {
  Program program = honest(0, 0);
  program.resize(program.size() / 2);
  add(program, Op::stop, {0});
  add(program, Op::answer, {0, 0, 1});
  add(program, Op::bury, {0, 0});
  return program;
}

}  // namespace

std::vector<std::vector<std::uint8_t>> seed_programs() {
  std::vector<Program> programs;
  for (int memory = 0; memory < 2; ++memory) {
    for (int flags = 0; flags < 4; ++flags) programs.push_back(honest(memory, flags));
    for (int kind = 0; kind < 12; ++kind) programs.push_back(lying(memory, kind));
    programs.push_back(greedy(memory));
  }
  for (int type = 0; type < 8; ++type) {
    for (int lies = 0; lies < 256; lies = lies == 0 ? 1 : lies * 2) {
      programs.push_back(dying(lies % 3, type, lies));
    }
  }
  for (int word = 0; word < 6; ++word) programs.push_back(witnesses(word));
  programs.push_back(wrapping());
  programs.push_back(stopped());
  return programs;
}

}  // namespace fuzz
