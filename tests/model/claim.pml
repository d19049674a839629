/* Claim and take-back: a task that was taken back never runs, and what runs was not taken back.
 *
 * Models    lib/ring/claim.hpp (claim), ChunkCursor::advance of
 *           include/pinion/detail/task_frame.hpp, PlainFrame::begin_chunk and Worker::run_plain of
 *           workers/; on the manager's side lib/ring/revoke.hpp (Revocation, cut),
 *           TakeBack::revoke, cut and cancel_single, Collector::handle_answer and handle_chunk,
 *           Burial::settle and settle_chunk of lib/pool/.
 * Property  Every task, and every item of a chunk, ends exactly once: with its value, elsewhere, or
 *           as lost by a death (P1). None runs both here and elsewhere (P2). An honest worker
 *           breaks no rule that the manager holds it to. A task that was asked to stop does not
 *           start elsewhere, where nobody would tell it.
 *
 * Cases
 *   TASKS      single tasks: claimed, revoked_end, revoked
 *   CHUNKS     two chunks, one after the other: chunk, progress, limit
 *   CUT_TWICE  one chunk, which is cut twice
 *
 * Bugs
 *   CLAIMED_AFTER_RUN (TASKS)        the worker claims a task when it has run
 *   END_READ_BEFORE_CLAIM (TASKS)    the worker reads revoked_end, then claims
 *   NO_MEMBARRIER_AT_REVOKE (TASKS)  the manager revokes and reads claimed without a barrier
 *   STOP_IS_FORGOTTEN (TASKS)        cancelled in doubt, then skipped: it starts elsewhere
 *   NO_MEMBARRIER_AT_CUT (CHUNKS)    the manager sets a limit and reads progress without a barrier
 *   LIMIT_READ_BEFORE_PROGRESS (CHUNKS)  the worker looks at the limit, then says what it starts
 *   LIMIT_WITHOUT_TAG (CHUNKS)       a limit counts for whatever task is on its flight
 *   CHUNK_LOOKED_AT_ONCE (CHUNKS)    progress counts although it may be the next chunk's
 *   LIMIT_RISES (CUT_TWICE)          a second limit above the first, where the worker stopped
 *
 * Found by
 *   CLAIMED_AFTER_RUN           !(ran[i])
 *   END_READ_BEFORE_CLAIM       outcome[p]==0
 *   NO_MEMBARRIER_AT_REVOKE     outcome[p]==0
 *   STOP_IS_FORGOTTEN           !(stopping[1])
 *   NO_MEMBARRIER_AT_CUT        outcome[((p*3)+done)]==0
 *   LIMIT_READ_BEFORE_PROGRESS  outcome[((p*3)+done)]==0
 *   LIMIT_WITHOUT_TAG           n>=((
 *   CHUNK_LOOKED_AT_ONCE        !(ran[((p*3)+assigned[p])])
 *   LIMIT_RISES                 n>=((
 *
 * Abstracted, and why that is sound:
 * - The rings: the number of tasks published, and a cell for each answer (credits.pml has the
 *   rings). Answers come in the order in which tasks are taken, as those of plain tasks do.
 * - Who takes back, and which: the manager takes back any of what it has given out, at any time. So
 *   all that cancel, terminate and balancing can do is among it.
 * - The manager is one process, since all this happens under its lock.
 * - "Elsewhere" is an end: another lane is another such worker.
 * - A worker dies between any two of its steps. What it had stored reaches memory before the
 *   manager knows: the process's exit is a barrier.
 * - A strip is run in one step, and counts as one.
 * - Stores with nothing between them enter the buffer together, and leave it one by one.
 * - Memory is total store order (store_buffers.inc). Neither side reads what it writes itself.
 */
#define MANAGER 0
#define WORKER 1
#define PROCESSES 2

#define RING 0    /* tasks published */
#define CLAIMED 1 /* position + 1 */

#ifdef CASE_TASKS
#define TASKS 2
#define ITEMS TASKS
#define END 2
#define REVOKED(p) (3 + (p))
#define ANSWER(p) (3 + TASKS + (p)) /* 0: none */
#define CELLS (3 + 2 * TASKS)
#define BUFFERED 4 /* of the worker: two a task */
#else
#ifdef CASE_CUT_TWICE
#define TASKS 1
#define CUTS 2
#else
#define TASKS 2
#define CUTS 1
#endif
#define COUNT 3 /* items of a chunk */
#define ITEMS (TASKS * COUNT)
#define CHUNK 2
#define PROGRESS 3          /* done << 2 | started */
#define LIMIT(flight) (4 + (flight)) /* position + 1 << 2 | first item not to start */
#define ANSWER(p) (6 + (p)) /* items done + 1; 0: none */
#define CELLS 8
#define BUFFERED 5
#endif

#include "reach.inc"
#include "store_buffers.inc"

#define pending 0
#define value 1
#define elsewhere 2
#define lost 3
#define cancelled 4

bool ran[ITEMS];     /* user code has begun */
byte outcome[ITEMS];
bool dead;
bool all_answered;
byte published;
bool answered[TASKS];

inline SETTLE(which, how) {
  assert(outcome[which] == pending);
  assert(!ran[which] || (how) == value || (how) == lost);
  outcome[which] = how
}

/* At any time, or never. */
active proctype killer() {
  if
  :: dead = 1
  :: true
  fi
}

#ifdef CASE_TASKS

#define did_run 1
#define skipped 2

bool revoked[TASKS];  /* taken back for certain */
bool stopping[TASKS]; /* was asked to stop */
bool wanted[TASKS];   /* to be taken back this time */

active proctype worker() {
  byte p;
  byte seen;
  {
    do
    :: p < TASKS ->
       memory[RING] > p;
#ifdef BUG_END_READ_BEFORE_CLAIM
       seen = memory[END];
#endif
#ifndef BUG_CLAIMED_AFTER_RUN
       STORE(WORKER, CLAIMED, p + 1);
#endif
       /* A compiler barrier. */
#ifndef BUG_END_READ_BEFORE_CLAIM
       seen = memory[END];
#endif
       if
       :: p >= seen -> skip
       :: p < seen && memory[REVOKED(p)] != p + 1 -> REACH("another is taken back, this one is not")
       :: p < seen && memory[REVOKED(p)] == p + 1 -> goto skip_it
       fi;
       d_step {
         assert(outcome[p] == pending);
         ran[p] = 1
       };
#ifdef BUG_CLAIMED_AFTER_RUN
       STORE(WORKER, CLAIMED, p + 1);
#endif
       STORE(WORKER, ANSWER(p), did_run);
       goto next;
skip_it:
       atomic { STORE(WORKER, ANSWER(p), skipped); REACH("a task that was taken back is skipped") };
next:
       atomic { p++; seen = 0 }
    :: else -> break
    od
  } unless {
    dead
  }
}

inline TAKE_BACK() {
  /* Any of them. */
  atomic {
    i = 0;
    do
    :: i < published && !answered[i] && !revoked[i] -> wanted[i] = 1; i++
    :: i < published -> i++
    :: else -> break
    od;
    if
    :: cancel = 0
    :: cancel = 1
    fi;
    i = 0
  };
  do
  :: i < TASKS && wanted[i] ->
     STORE(MANAGER, REVOKED(i), i + 1);
     atomic {
       if
       :: i + 1 > end -> end = i + 1
       :: else
       fi;
       i++
     }
  :: i < TASKS && !wanted[i] -> i++
  :: else -> break
  od;
  STORE(MANAGER, END, end);
#ifndef BUG_NO_MEMBARRIER_AT_REVOKE
  MEMBARRIER_ALL();
#endif
  atomic {
    claimed = memory[CLAIMED];
    i = 0;
    do
    :: i < TASKS && wanted[i] && i >= claimed ->
       revoked[i] = 1;
       SETTLE(i, (cancel -> cancelled : elsewhere));
       wanted[i] = 0; i++
    :: i < TASKS && wanted[i] && i < claimed ->
       REACH("in doubt: it counts as started");
       stopping[i] = stopping[i] || cancel;
       wanted[i] = 0; i++
    :: i < TASKS && !wanted[i] -> i++
    :: else -> break
    od;
    i = 0; claimed = 0; cancel = 0
  }
}

inline HANDLE_ANSWER(p) {
  answered[p] = 1;
  if
  :: memory[ANSWER(p)] == did_run ->
     assert(!revoked[p]); /* or an honest worker is killed */
     SETTLE(p, value)
  :: memory[ANSWER(p)] == skipped && revoked[p] -> skip
  :: memory[ANSWER(p)] == skipped && !revoked[p] ->
     REACH("in doubt, and not started after all");
     if
#ifndef BUG_STOP_IS_FORGOTTEN
     :: stopping[p] -> SETTLE(p, cancelled)
#endif
     :: else -> assert(!stopping[p]); SETTLE(p, elsewhere)
     fi
  fi
}

inline SETTLE_DEATH(p) {
  if
  :: revoked[p] -> REACH("dead, and this one is elsewhere already")
  :: !revoked[p] && p >= memory[CLAIMED] -> SETTLE(p, elsewhere); REACH("dead, and not started")
  :: !revoked[p] && p < memory[CLAIMED] -> SETTLE(p, lost); REACH("dead, and started")
  fi
}

active proctype manager() {
  byte i;
  byte end;
  byte claimed;
  byte rounds;
  bool cancel;
  do
  :: published < TASKS -> atomic { published++; STORE(MANAGER, RING, published) }
  :: rounds < 2 && published != 0 -> rounds++; TAKE_BACK()
  :: atomic { !answered[0] && memory[ANSWER(0)] != 0 -> HANDLE_ANSWER(0) }
  :: atomic { answered[0] && !answered[1] && memory[ANSWER(1)] != 0 -> HANDLE_ANSWER(1) }
  :: answered[1] -> break
  :: dead && DRAINED(MANAGER) && DRAINED(WORKER) -> break
  od;
  /* The final drain, then what is left. */
  atomic {
    i = 0;
    do
    :: i < published && !answered[i] && memory[ANSWER(i)] != 0 -> HANDLE_ANSWER(i); i++
    :: i < published && !answered[i] && memory[ANSWER(i)] == 0 -> SETTLE_DEATH(i); i++
    :: i < published && answered[i] -> i++
    :: else -> break
    od
  };
  all_answered = 1
}

#else /* CASE_CHUNKS */

byte assigned[TASKS] = COUNT;
byte limit[TASKS] = COUNT; /* what the manager has set */
byte flight[TASKS];

#define MIN(a, b) ((a) < (b) -> (a) : (b))
#define MAX(a, b) ((a) > (b) -> (a) : (b))

#define LIMIT_IS_OF(p) (memory[LIMIT(flight[p])] >> 2 == (p) + 1)
#define LIMIT_IS(p) (memory[LIMIT(flight[p])] & 3)

active proctype worker() {
  byte p;
  byte done;
  byte n;
  byte strip;
  {
    do
    :: p < TASKS ->
       atomic {
         memory[RING] > p && buffers[WORKER].n + 3 <= BUFFERED ->
         STORE(WORKER, CLAIMED, p + 1);
         STORE(WORKER, PROGRESS, 0);
         STORE(WORKER, CHUNK, p + 1);
         if
         :: strip = 1
         :: strip = 2
         fi
       };
       do
       :: done < COUNT ->
          atomic {
            n = MIN(strip, COUNT - done);
#ifndef BUG_LIMIT_READ_BEFORE_PROGRESS
            STORE(WORKER, PROGRESS, done << 2 | (done + n))
#endif
          };
          /* A compiler barrier. */
#ifdef BUG_LIMIT_WITHOUT_TAG
          if
          :: memory[LIMIT(flight[p])] != 0 ->
#else
          if
          :: LIMIT_IS_OF(p) ->
#endif
             atomic {
               n = (LIMIT_IS(p) <= done -> 0 : MIN(n, LIMIT_IS(p) - done));
               REACH("it sees a limit")
             }
          :: else
          fi;
#ifdef BUG_LIMIT_READ_BEFORE_PROGRESS
          STORE(WORKER, PROGRESS, done << 2 | (done + n));
#endif
          if
          :: n == 0 -> break
          :: else
          fi;
          d_step {
            do
            :: n > 0 ->
               assert(outcome[p * COUNT + done] == pending);
               ran[p * COUNT + done] = 1;
               done++;
               n--
            :: else -> break
            od
          }
       :: else -> break
       od;
       atomic {
         buffers[WORKER].n + 2 <= BUFFERED ->
         STORE(WORKER, ANSWER(p), done + 1);
         STORE(WORKER, CHUNK, 0);
         p++; done = 0; strip = 0; n = 0
       }
    :: else -> break
    od
  } unless {
    dead
  }
}

/* TakeBack::cut, of the chunk at position q, from item `first` on. */
inline CUT(q) {
#ifndef BUG_LIMIT_RISES
  first = MIN(first, limit[q]);
#endif
  limit[q] = first;
  STORE(MANAGER, LIMIT(flight[q]), (q + 1) << 2 | first);
#ifndef BUG_NO_MEMBARRIER_AT_CUT
  MEMBARRIER_ALL();
#endif
  if
  :: memory[CHUNK] == q + 1 ->
     started = memory[PROGRESS] & 3;
#ifndef BUG_CHUNK_LOOKED_AT_ONCE
     if
     :: atomic {
          memory[CHUNK] != q + 1 -> started = assigned[q];
          REACH("it has gone on meanwhile")
        }
     :: else
     fi
#endif
  :: else ->
     started = first;
     if
     :: memory[CLAIMED] > q ->
        if
        :: atomic {
             memory[CHUNK] != q + 1 -> started = assigned[q];
             REACH("it is not known how far it is")
           }
        :: else -> REACH("it begins just now")
        fi
     :: else -> REACH("it has not begun")
     fi
  fi;
  atomic {
    started = MIN(assigned[q], MAX(first, started));
    do
    :: started < assigned[q] ->
       REACH("items are taken back");
       assigned[q]--;
       SETTLE(q * COUNT + assigned[q], elsewhere)
    :: else -> break
    od;
    started = 0; first = 0
  }
}

#define CAN_CUT(q) (published > (q) && !answered[q] && assigned[q] != 0)

inline HANDLE_CHUNK(q) {
  answered[q] = 1;
  i = 0;
  n = memory[ANSWER(q)] - 1;
  assert(n <= assigned[q]); /* or an honest worker is killed */
  assert(n >= MIN(limit[q], assigned[q]));
  do
  :: i < n -> SETTLE(q * COUNT + i, value); i++
  :: i >= n && i < assigned[q] ->
     SETTLE(q * COUNT + i, elsewhere);
     i++;
     REACH("fewer than expected")
  :: else -> break
  od;
  i = 0; n = 0
}

inline SETTLE_DEATH(q) {
  i = 0; n = 0; started = 0;
  if
  :: memory[CHUNK] == q + 1 ->
     n = MIN(memory[PROGRESS] >> 2, assigned[q]);
     started = MIN(MAX(memory[PROGRESS] & 3, n), assigned[q])
  :: else
  fi;
  /* It died with this chunk in hand: one item is lost at least. */
  if
  :: memory[CLAIMED] > q && started == n && started < assigned[q] -> started++
  :: else
  fi;
  do
  :: i < n -> SETTLE(q * COUNT + i, value); i++; REACH("dead, and some items have their values")
  :: i >= n && i < started -> SETTLE(q * COUNT + i, lost); i++
  :: i >= started && i < assigned[q] ->
     SETTLE(q * COUNT + i, elsewhere);
     i++;
     REACH("dead, and the rest goes elsewhere")
  :: else -> break
  od;
  i = 0; n = 0; started = 0
}

active proctype manager() {
  byte i;
  byte n;
  byte p;
  byte first;
  byte started;
  byte cuts;
  do
  :: atomic {
       published < TASKS ->
       if
       :: answered[0] -> flight[published] = 0; REACH("a flight is used again")
       :: flight[published] = published
       fi;
       published++;
       STORE(MANAGER, RING, published)
     }
  :: atomic {
       cuts < CUTS && (CAN_CUT(0) || CAN_CUT(TASKS - 1)) ->
       if
       :: CAN_CUT(0) -> p = 0
       :: CAN_CUT(TASKS - 1) -> p = TASKS - 1
       fi;
       if
       :: first = 0
       :: assigned[p] > 1 -> first = 1
       :: assigned[p] > 2 -> first = 2
       fi;
       cuts++
     };
     CUT(p);
     p = 0
  :: atomic { !answered[0] && memory[ANSWER(0)] != 0 -> p = 0; HANDLE_CHUNK(p) }
#if TASKS == 2
  :: atomic {
       answered[0] && !answered[1] && memory[ANSWER(1)] != 0 -> p = 1;
       HANDLE_CHUNK(p);
       p = 0
     }
#endif
  :: answered[TASKS - 1] -> break
  :: dead && DRAINED(MANAGER) && DRAINED(WORKER) -> break
  od;
  atomic {
    p = 0;
    do
    :: p < published && !answered[p] && memory[ANSWER(p)] != 0 -> HANDLE_CHUNK(p); p++
    :: p < published && !answered[p] && memory[ANSWER(p)] == 0 -> SETTLE_DEATH(p); p++
    :: p < published && answered[p] -> p++
    :: else -> break
    od
  };
  all_answered = 1
}

#endif

/* Nothing moves any more. */
active proctype judge() {
  byte i;
  timeout ->
  REACH("an end");
  assert(all_answered);
  do
  :: i < ITEMS ->
     if
     :: published * (ITEMS / TASKS) > i -> assert(outcome[i] != pending)
     :: else
     fi;
     assert(outcome[i] != value || ran[i]);
     i++
  :: else -> break
  od
}
