/* Death and respawn: what a dead generation wrote, or still writes, never counts for the next.
 *
 * Models    lib/pool/burial.cpp (bury, settle, drop_segment), lib/pool/fleet.cpp (on_death,
 *           after_death, give_birth, abandon_birth), State::skip_lap, Collector::drain, handle and
 *           handle_ready, Dispatcher::push and requeue, Worker::say_ready; positions, slots and
 *           segments of lib/ring/sequence_ring.hpp and lib/shm/arena_layout.hpp.
 * Property  Every task ends exactly once (P1, INV-2). None starts twice (P2). A value that is
 *           accepted is the one that the generation wrote which the task was given to (F31, P19,
 *           INV-7). A result that was complete before the death counts (F21). An honest worker is
 *           never taken for one that breaks the protocol. The number of ready workers is right
 *           after a death.
 *
 * Bugs
 *   SEGMENT_USED_AGAIN      the successor gets the dead one's segment, and its late writes
 *   NO_GENERATION           ... and an answer is matched by its flight alone
 *   POSITIONS_RESTART       the successor begins at 0, and takes what is left in the task ring
 *   NO_FINAL_DRAIN          claims are settled without another look at the result ring
 *   CLAIMED_GOES_ELSEWHERE  what had started is given to the successor
 *   READY_BEFORE_THE_DRAIN  it is asked whether it was ready, then what it said is read
 *   READY_WITHOUT_A_WITNESS a worker says that it is ready before `claimed` stands at its birth
 *   NO_LAP_SKIPPED          a worker whose birth was given up waits for its successor's task
 *
 * Found by
 *   SEGMENT_USED_AGAIN       flight_position[f]==p
 *   NO_GENERATION            writer[(results%3)]==generation
 *   POSITIONS_RESTART        !(started[number])
 *   NO_FINAL_DRAIN           !(published[t])
 *   CLAIMED_GOES_ELSEWHERE   !(started[number])
 *   READY_BEFORE_THE_DRAIN   ready_workers==0
 *   READY_WITHOUT_A_WITNESS  flight_position[f]<segments
 *   NO_LAP_SKIPPED           !(started[number])
 *
 * Abstracted, and why that is sound:
 * - One lane: lanes share nothing but the backlog. Two flights, and rings of two and three slots,
 *   so that both go round and every slot and flight is used by more than one generation. Three
 *   generations, the last of which lives.
 * - A process dies between any two of its steps; the message and the word of a slot are two steps.
 *   What it had stored is in memory before its pidfd is readable.
 * - After the death somebody still writes into the dead one's segment, once, at any time: input or
 *   output that was under way, or a child of a task with the same mapping. It writes where the dead
 *   one would have written next: garbage, or the very message that would have been next.
 * - The manager is one process: all of it runs with the lock and, where lanes change, the baton.
 * - That a claim may be in doubt is in claim.pml.
 * - What a worker wrote is its task and its generation; the rest of a value does not matter.
 */
#include "reach.inc"

#define FLIGHTS 2
#define TASK_SLOTS 2
#define RESULT_SLOTS 3 /* more than flights: the next one is never unread */
#define TASKS 3
#define GENERATIONS 3
#define no_flight 7
#define none 255

/* The manager's segment: its task ring outlives the workers. */
byte task_word[TASK_SLOTS];
byte task_flight[TASK_SLOTS];
byte task_number[TASK_SLOTS];

/* A worker's segment, one a generation. */
typedef Segment {
  byte word[RESULT_SLOTS];
  byte flight[RESULT_SLOTS];
  byte position[RESULT_SLOTS];
  byte writer[RESULT_SLOTS]; /* of the value: generation; none: garbage */
  byte value[RESULT_SLOTS];  /* the task that it is of */
  byte claimed
};
Segment segments[GENERATIONS];

#if defined BUG_SEGMENT_USED_AGAIN || defined BUG_NO_GENERATION
#define SEGMENT(generation) 0
#else
#define SEGMENT(generation) (generation)
#endif

bool dead[GENERATIONS];
bool started[TASKS];
bool published[TASKS]; /* its result is complete */

#define waiting 0
#define under_way 1
#define has_value 2
#define is_lost 3
byte state[TASKS];
bool finished;

#define RESULTS segments[SEGMENT(generation)]

inline PUSH_RESULT(f, p, v) {
  atomic {
    RESULTS.flight[results % RESULT_SLOTS] = f;
    RESULTS.position[results % RESULT_SLOTS] = p;
    RESULTS.writer[results % RESULT_SLOTS] = generation;
    RESULTS.value[results % RESULT_SLOTS] = v
  };
  atomic {
    results++;
    RESULTS.word[(results - 1) % RESULT_SLOTS] = results;
    if
    :: f != no_flight -> published[v] = 1
    :: else
    fi
  }
}

proctype worker(byte generation; byte position; byte results) {
  byte flight; /* of the task that it has in hand */
  byte number;
  bool running;
  {
#ifndef BUG_READY_WITHOUT_A_WITNESS
    RESULTS.claimed = position;
#endif
    PUSH_RESULT(no_flight, 0, 0); /* ready */
    do
    :: atomic {
         task_word[position % TASK_SLOTS] == position + 1 ->
         flight = task_flight[position % TASK_SLOTS];
         number = task_number[position % TASK_SLOTS];
         position++
       };
       RESULTS.claimed = position;
       atomic {
         assert(!started[number]);
         started[number] = 1;
         running = 1
       };
       PUSH_RESULT(flight, position - 1, number);
       atomic { flight = 0; number = 0; running = 0 }
    od
  } unless {
    dead[generation];
    /* What was under way goes on: once, at any time. */
    if
    :: atomic {
         RESULTS.writer[results % RESULT_SLOTS] = none;
         REACH("something is written into a segment after its worker's death")
       }
    :: atomic {
         running && !published[number] ->
         RESULTS.flight[results % RESULT_SLOTS] = flight;
         RESULTS.position[results % RESULT_SLOTS] = position - 1;
         RESULTS.writer[results % RESULT_SLOTS] = generation;
         RESULTS.value[results % RESULT_SLOTS] = number;
         RESULTS.word[results % RESULT_SLOTS] = results + 1;
         REACH("a whole message is written into a segment after its worker's death")
       }
    fi
  }
}

#define no_lane 0
#define starting 1
#define ready 2

byte generation;
byte lane;
byte ready_workers;

inline TAKE_RESULT() {
  f = RESULTS.flight[results % RESULT_SLOTS];
  p = RESULTS.position[results % RESULT_SLOTS];
  if
  :: f == no_flight ->
     if
     :: lane == starting -> lane = ready; ready_workers++
     :: else
     fi
#ifdef BUG_NO_GENERATION
  :: f != no_flight && flight_task[f] == none -> skip /* dropped */
  :: f != no_flight && flight_task[f] != none ->
#else
  :: f != no_flight ->
     /* Otherwise it would be killed for a breach of the protocol. */
     assert(f < FLIGHTS && flight_task[f] != none && flight_position[f] == p);
#endif
     t = flight_task[f];
     assert(state[t] == under_way);
     assert(RESULTS.writer[results % RESULT_SLOTS] == generation);
     assert(RESULTS.value[results % RESULT_SLOTS] == t);
     state[t] = has_value;
     flight_task[f] = none;
     if
     :: generation > 0 -> REACH("a later generation's value")
     :: else
     fi
  fi;
  results++;
  f = 0; t = 0; p = 0
}

active proctype manager() {
  byte flight_task[FLIGHTS];
  byte flight_position[FLIGHTS];
  byte tasks;   /* the producer's position */
  byte results; /* the consumer's */
  byte birth;
  byte f;
  byte t;
  byte p;
  bool counted;
  byte late = none; /* generation whose birth was given up */

  flight_task[0] = none;
  flight_task[1] = none;
  goto give_birth;

  do
  /* Dispatch: the first that waits, on a free flight. */
  :: atomic {
       lane == ready && (flight_task[0] == none || flight_task[1] == none) &&
       (state[0] == waiting || state[1] == waiting || state[2] == waiting) ->
       t = (state[0] == waiting -> 0 : (state[1] == waiting -> 1 : 2));
       f = (flight_task[0] == none -> 0 : 1);
       state[t] = under_way;
       flight_task[f] = t;
       flight_position[f] = tasks;
       task_flight[tasks % TASK_SLOTS] = f;
       task_number[tasks % TASK_SLOTS] = t;
       tasks++;
       task_word[(tasks - 1) % TASK_SLOTS] = tasks;
       f = 0; t = 0
     }
  /* Collect. */
  :: atomic {
       lane != no_lane && RESULTS.word[results % RESULT_SLOTS] == results + 1 -> TAKE_RESULT()
     }
  /* Death. */
  :: atomic { lane != no_lane && generation < GENERATIONS - 1 -> dead[generation] = 1 };
     atomic {
#ifdef BUG_READY_BEFORE_THE_DRAIN
       counted = (lane == ready);
#endif
#ifndef BUG_NO_FINAL_DRAIN
       do
       :: RESULTS.word[results % RESULT_SLOTS] == results + 1 -> TAKE_RESULT()
       :: else -> break
       od;
#endif
#ifndef BUG_READY_BEFORE_THE_DRAIN
       counted = (lane == ready);
#endif
       /* A witness below its birth is a liar's, and proves nothing: then all have started. */
       p = (!counted -> birth : (RESULTS.claimed < birth -> tasks : RESULTS.claimed));
       f = 0;
       do
       :: f < FLIGHTS && flight_task[f] == none -> f++
       :: f < FLIGHTS && flight_task[f] != none ->
          t = flight_task[f];
          if
          :: flight_position[f] >= p -> state[t] = waiting; REACH("not started: it goes elsewhere")
#ifdef BUG_CLAIMED_GOES_ELSEWHERE
          :: flight_position[f] < p -> state[t] = waiting
#else
          :: flight_position[f] < p ->
             assert(!published[t]);
             assert(flight_position[f] < RESULTS.claimed); /* an honest one has claimed it */
             state[t] = is_lost;
             REACH("started: it is lost")
#endif
          fi;
          flight_task[f] = none;
          f++
       :: else -> break
       od;
       if
       :: counted -> ready_workers--
       :: else -> REACH("dead before it was ready")
       fi;
       lane = no_lane;
       f = 0; t = 0; p = 0; counted = 0;
       assert(ready_workers == 0)
     };
     generation++;
give_birth:
     atomic {
#ifdef BUG_POSITIONS_RESTART
       tasks = 0;
       results = 0;
#endif
       birth = tasks;
       run worker(generation, tasks, results);
       if
       :: lane = starting
       :: late == none && generation < GENERATIONS - 1 ->
          /* Nobody waited for it, but it will come: it is told to wait for what never comes. */
          late = generation;
          generation++;
#ifndef BUG_NO_LAP_SKIPPED
          tasks = tasks + TASK_SLOTS;
#endif
          REACH("a birth is given up, and its worker comes nevertheless");
          goto give_birth
       fi
     }
  :: atomic { late != none && !dead[late] -> dead[late] = 1 }
  :: state[0] > under_way && state[1] > under_way && state[2] > under_way -> finished = 1; break
  od
}

/* Nothing moves any more. */
active proctype judge() {
  timeout ->
  REACH("an end");
#ifndef BUG_NO_GENERATION /* which is to show more: that a value of the dead one is accepted */
  assert(finished)
#endif
}
