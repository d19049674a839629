// A program that a hostile worker and a busy manager run together.
//
// Every input is a program: its bytes say what is submitted, what the worker writes where, and when
// the manager looks. Whatever they say, every accepted task ends exactly once, the accounts agree,
// nothing is read outside the worker's memory, and nothing costs more than it may. What does not
// hold ends the process.
//
// Tried by hand: `Lane::checked` with `offset + bytes > end` is found in 0.2 s by a seed, and a
// chunk whose flight may lose its last item (so that the flight outlives its map) in less than a
// second. Not found in 12 s: an answer that is taken without a look at its position.
#pragma once

#include <cstdint>

#include "fuzz/program.hpp"

namespace fuzz {

/// The steps of a program. Each takes the bytes that follow as its operands; where the program has
/// ended they are 0.
enum class Op : std::uint8_t {
  apply,     // flags, argument size, handle kept
  map,       // flags, result type, items, items of a chunk, item size
  answer,    // worker, flight, how: as an honest worker would
  forge,     // worker, every field of a message
  word,      // worker, where, what
  bytes,     // worker, offset, count, bytes
  chunk,     // worker, flight, block, shape: a result block, honest or not
  error,     // worker, offset: an encoded exception
  collect,   //
  drain,     // worker
  balance,   // worker whose last answer was long ago
  cancel,    // entry
  bury,      // worker, whether the next is ready
  limits,    // ms from now
  note,      // worker
  decode,    // entry, type
  drop,      // entry
  bell,      // word, value
  controls,  //
  stop,      //
  ops
};

}  // namespace fuzz
