/* Credits: nobody overwrites what is unread, and nobody waits for room.
 *
 * Models    lib/pool/dispatcher.cpp (push, free_flight), lib/pool/controls.cpp, the counts of
 *           lib/shm/limits.hpp, lib/ring/sequence_ring.hpp, Collector::drain, handle and
 *           handle_need_space of lib/pool/collector.cpp; of workers/worker.cpp turn, intake,
 *           run_task, take_space and publish.
 * Property  No push meets a slot that is not read (P8, F19, INV-8). Both sides go on until all is
 *           answered, in whatever order they look, with both rings as full as they can be: neither
 *           blocks in a push, and the worker that asks for memory gets its answer.
 *
 * Bugs
 *   NO_CREDIT             a task is pushed without a flight
 *   CREDIT_RETURNS_EARLY  a flight is free when its task has left the ring, not when it is answered
 *   CONTROLS_UNBOUNDED    control messages are pushed although too many are unread
 *   BLOCKING_RINGS        bounded rings without credits, where each side waits for room: a deadlock
 *
 * Found by
 *   NO_CREDIT             !(results.unread
 *   CREDIT_RETURNS_EARLY  !(results.unread
 *   CONTROLS_UNBOUNDED    !(tasks.unread
 *   BLOCKING_RINGS        (given_out==12)&&(answered==12)
 *
 * Abstracted, and why that is sound:
 * - Rings of 4 slots in place of 1024, 3 flights of 768, 1 control message of 256: the proportions,
 *   and both rings go round. Nothing in the code depends on the numbers but through these bounds.
 * - What a message says is its kind and its flight; a flight is one credit, so flights are counted.
 * - The manager is one process, since it pushes and drains under its lock. That it does either at
 *   any time stands for all orders in which threads may do so.
 * - Memory is sequentially consistent: a slot's word is released and acquired, and `read` and
 *   `claimed` only grow, so an old value makes the manager keep back more than it must.
 * - That somebody looks again when control messages wait is left to the baton (needs_collector in
 *   baton.pml): the manager here may always look.
 */
#include "reach.inc"

#define SLOTS 4
#define FLIGHTS 3
#define CONTROLS 1 /* that may be unread */

#ifdef BUG_BLOCKING_RINGS
#define TASKS 12 /* more than both rings and the worker hold */
#else
#define TASKS 7
#endif
#define CONTROLS_WANTED 2
#define REQUESTS 2 /* for memory */

#define task 1
#define control 2
#define grant 3
#define answer 1
#define need_space 2

typedef Ring {
  byte sequence[SLOTS];
  byte kind[SLOTS];
  byte produced;      /* private: the producer's position */
  byte consumed;      /* private: the consumer's position */
  bool unread[SLOTS]; /* as seen from above: there is a message that nobody has read */
};

Ring tasks;
Ring results;

byte claimed; /* the worker's line */
byte read_up_to;

byte given_out; /* tasks */
byte answered;
byte controls_sent;
bool granted;
bool asking;
#ifdef BUG_CREDIT_RETURNS_EARLY
byte taken_up;
#else
hidden byte taken_up;
#endif

inline PUSH(ring, what) {
  d_step {
    assert(!ring.unread[ring.produced % SLOTS]);
    ring.kind[ring.produced % SLOTS] = what;
    ring.unread[ring.produced % SLOTS] = 1;
    ring.produced++;
    ring.sequence[(ring.produced - 1) % SLOTS] = ring.produced
  }
}

#define READY(ring) (ring.sequence[ring.consumed % SLOTS] == ring.consumed + 1)

inline TAKE(ring, what) {
  d_step {
    what = ring.kind[ring.consumed % SLOTS];
    ring.unread[ring.consumed % SLOTS] = 0;
    ring.consumed++
  }
}

#define UNREAD(ring) (ring.produced - ring.consumed)

#ifdef BUG_BLOCKING_RINGS
/* What a pair of bounded rings without credits does. */
#define ROOM(ring) (!ring.unread[ring.produced % SLOTS])
#define HAS_FLIGHT true
#elif defined BUG_NO_CREDIT
#define ROOM(ring) true
#define HAS_FLIGHT true
#else
#define ROOM(ring) true
#define HAS_FLIGHT (flights > 0)
#endif

active proctype manager() {
  byte flights = FLIGHTS;
  byte waiting;      /* controls_waiting: kinds do not matter but for the grant's */
  bool grant_waits;
  byte in_ring;      /* controls.size() */
  byte front;        /* controls.front(): position of the one that is unread */
  byte what;
  do
  :: given_out < TASKS && HAS_FLIGHT ->
     atomic {
       flights--;
       given_out++;
       ROOM(tasks); /* where it blocks, it drains nothing */
       PUSH(tasks, task);
       if
       :: UNREAD(tasks) == SLOTS -> REACH("the task ring is full")
       :: else
       fi
     }
  :: controls_sent < CONTROLS_WANTED && waiting < 2 -> controls_sent++; waiting++
  :: READY(results) ->
     atomic {
       TAKE(results, what);
       if
#ifdef BUG_CREDIT_RETURNS_EARLY
       :: what == answer -> answered++
#else
       :: what == answer -> answered++; flights++
#endif
       :: what == need_space -> grant_waits = 1; REACH("the worker asks for memory")
       fi;
       what = 0
     }
  :: waiting + grant_waits > 0 && in_ring < CONTROLS ->
     atomic {
       in_ring++;
       front = tasks.produced;
       if
       :: waiting > 0 -> waiting--; PUSH(tasks, control)
       :: waiting == 0 -> grant_waits = 0; PUSH(tasks, grant)
       fi
     }
#ifdef BUG_CONTROLS_UNBOUNDED
  :: waiting + grant_waits > 0 && in_ring == CONTROLS -> in_ring--
#else
  :: waiting + grant_waits > 0 && in_ring == CONTROLS &&
     front < (claimed > read_up_to -> claimed : read_up_to) ->
     atomic { in_ring--; front = 0; REACH("a control message was read: there is room for one") }
#endif
#ifdef BUG_CREDIT_RETURNS_EARLY
  :: atomic { taken_up > 0 -> taken_up--; flights++ } /* as soon as the task has left its ring */
#endif
  :: answered == TASKS && controls_sent == CONTROLS_WANTED && waiting == 0 -> break
  od
}

/* Tasks that have left the ring and wait: their positions. */
chan queue = [FLIGHTS + CONTROLS] of { byte };

inline INTAKE() {
  position = tasks.consumed;
  TAKE(tasks, what);
  if
  :: what == task -> queue!position
  :: what == control -> skip
  :: what == grant -> granted = 1
  fi;
  what = 0;
  position = 0;
  read_up_to = tasks.consumed
}

active proctype worker() {
  byte what;
  byte position;
  byte requests;
  do
  :: atomic { READY(tasks) -> INTAKE() }
  :: nempty(queue) ->
     queue?position;
serve:
     atomic { claimed = position + 1; position = 0; taken_up++ };
     if
     :: skip
     :: requests < REQUESTS -> /* It is short of memory. */
        atomic { asking = 1; requests++; PUSH(results, need_space) };
        if
        :: UNREAD(results) == FLIGHTS -> REACH("every flight has a result that nobody has read")
        :: else
        fi;
        do
        :: granted -> granted = 0; break
        :: atomic { !granted && READY(tasks) -> INTAKE() }
        od;
        asking = 0
     fi;
     atomic { ROOM(results) -> PUSH(results, answer) }
  :: empty(queue) && READY(tasks) && tasks.kind[tasks.consumed % SLOTS] == task ->
     atomic { position = tasks.consumed; TAKE(tasks, what); what = 0 }; /* straight from the ring */
     goto serve
  od
}

/* Nothing moves any more. */
active proctype judge() {
  timeout ->
  REACH("an end");
  assert(given_out == TASKS && answered == TASKS);
  assert(!asking);
  assert(tasks.produced == tasks.consumed && results.produced == results.consumed)
}
