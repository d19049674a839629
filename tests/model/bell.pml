/* The bell: one side sleeps, others wake it.
 *
 * Models    lib/ring/bell.hpp and edge.hpp (park, sleep, leave, ring, both fencings), and their
 *           use: the sleeper of Turns::park, Service::collect and Worker::park, the waker of
 *           Locked::ring and Worker::publish.
 * Property  No wake-up is lost (F30): where nothing can move any more, no message lies in a ring
 *           that its sleeper would want to know of. A sleeper that is full may leave those that are
 *           not urgent, while it has input or output in flight that will wake it.
 *
 * Bugs
 *   NO_BARRIER_AT_PARKING   the word waits in its store buffer while it looks at the slots
 *   LOOKS_BEFORE_IT_PARKS   the sleeper looks at the slots, then says that it parks
 *   FENCES_DIFFER           the sleeper has a fence of its own only, the waker a compiler barrier
 *   WORD_NOT_CHANGED        the waker does not change the word: one about to sleep does sleep
 *   LOOKS_BEFORE_IT_STORES  the waker looks at the word, then stores its slot
 *
 * Found by
 *   LOOKS_BEFORE_IT_PARKS   taken[1]==2
 *   NO_BARRIER_AT_PARKING   taken[1]==2
 *   FENCES_DIFFER           (taken[0]==2)||(place==3)
 *   WORD_NOT_CHANGED        (taken[0]==2)||(place==3)
 *   LOOKS_BEFORE_IT_STORES  (taken[0]==2)||(place==3)
 *
 * Abstracted, and why that is sound:
 * - The backstop is left out. So what passes here does not rest on it.
 * - A ring is the number of messages published in it. Each slot has a sequence word that names its
 *   message, and one producer stores them in order: those that are visible are a prefix.
 * - Two wakers have a ring each, as workers have towards the manager. Two threads of the manager
 *   that push into one ring do it under a lock, and are less.
 * - The word's count makes each of its values new, so a compare-exchange succeeds if nobody has
 *   changed the word since it was read. That is one bit a waker (`unchanged`) in place of the
 *   count.
 * - Bell::sleep looks at the word before the kernel does. Only the kernel's look is here.
 * - The look that finds nothing and the store that parks are one step, but for the bug that is
 *   about them: the store waits in its buffer as long as it likes, so what could come between still
 *   can.
 * - The eventfd is one bit: it is only read until it is empty.
 * - A futex that wakes for no reason does so at once. Later would only add looks at the ring.
 * - Memory is total store order (store_buffers.inc).
 */
#define SLEEPER 0
#define PROCESSES 3 /* the sleeper and two wakers */

#define RING(waker) ((waker)-1)
#define WORD 2
#define CELLS 3
#define BUFFERED 2

bool unchanged[PROCESSES]; /* since that waker has read it, the word is what it was */
#define CHANGED(c)                   \
  if                                 \
  :: (c) == WORD -> unchanged[1] = 0; unchanged[2] = 0 \
  :: else                            \
  fi

#include "reach.inc"
#include "store_buffers.inc"

#ifndef MESSAGES
#define MESSAGES 2 /* of each waker */
#endif

#define awake 0
#define on_futex 1
#define in_loop 2
#define full 3

bool symmetric; /* both sides fence; else the sleeper's membarrier is for all */
bool in_futex;  /* the kernel has it on the futex's queue */
bool eventfd;
bool asleep;
byte place;
bool ends; /* what keeps it full will end, and wake it */
byte taken[2];
byte published[2];

#define URGENT(waker) ((waker) == 2)
#define UNREAD(p) (LOAD(p, 0) != taken[0] || LOAD(p, 1) != taken[1])

proctype sleeper() {
  do
  :: atomic { UNREAD(SLEEPER) -> taken[0] = LOAD(SLEEPER, 0); taken[1] = LOAD(SLEEPER, 1) }
  :: atomic {
       !UNREAD(SLEEPER) ->
       if
       :: place = on_futex
       :: place = in_loop
       :: place = full
       :: place = full; ends = 1
       fi
     };
#ifdef BUG_LOOKS_BEFORE_IT_PARKS
     if
     :: UNREAD(SLEEPER) -> goto again
     :: else
     fi;
#endif
     STORE(SLEEPER, WORD, place);
#ifdef BUG_NO_BARRIER_AT_PARKING
#elif defined BUG_FENCES_DIFFER
     BARRIER(SLEEPER);
#else
     if
     :: symmetric -> BARRIER(SLEEPER)
     :: else -> MEMBARRIER_ALL()
     fi;
#endif
#ifndef BUG_LOOKS_BEFORE_IT_PARKS
     if
     :: atomic { UNREAD(SLEEPER) -> REACH("finds a message although it had found none") };
        goto leave
     :: else
     fi;
#endif
     if
     :: place == on_futex ->
        /* The kernel looks at the word with its queue locked. */
        if
        :: atomic { DRAINED(SLEEPER) && memory[WORD] == place -> in_futex = 1; asleep = 1 }
        :: atomic { DRAINED(SLEEPER) && memory[WORD] != place -> REACH("rung before it sleeps") };
           goto leave
        :: DRAINED(SLEEPER) -> goto leave /* a futex wakes for no reason */
        fi;
        atomic { !in_futex -> asleep = 0; REACH("woken on the futex") }
     :: else ->
        atomic { DRAINED(SLEEPER) -> asleep = 1 };
        if
        :: atomic { eventfd -> eventfd = 0; asleep = 0; REACH("woken in its loop") }
        :: atomic { ends -> asleep = 0; REACH("woken by what it had in flight") }
        fi
     fi;
leave:
     if
     :: atomic { DRAINED(SLEEPER) && memory[WORD] == place -> memory[WORD] = awake; CHANGED(WORD) }
     :: atomic {
          DRAINED(SLEEPER) && memory[WORD] != place ->
          assert(memory[WORD] == awake);
          REACH("somebody had rung")
        }
     fi;
#ifdef BUG_LOOKS_BEFORE_IT_PARKS
again:
#endif
     atomic { place = awake; ends = 0 }
  od
}

inline LOOK_AT_WORD(self) {
  atomic { seen = LOAD(self, WORD); unchanged[self] = (seen != awake) }
}

inline RING_BELL(self) {
#ifndef BUG_LOOKS_BEFORE_IT_STORES
  LOOK_AT_WORD(self);
#endif
  if
  :: atomic { seen == awake -> REACH("the other is awake: no system call") }
  :: atomic { seen == full && !URGENT(self) -> REACH("the other is full: not woken") }
  :: else ->
     if
#ifdef BUG_WORD_NOT_CHANGED
     :: DRAINED(self)
#else
     :: atomic { DRAINED(self) && unchanged[self] -> memory[WORD] = awake; CHANGED(WORD) }
     :: atomic { DRAINED(self) && !unchanged[self] -> seen = awake; REACH("it left, or was woken") }
#endif
     fi;
     if
     :: seen == on_futex -> in_futex = 0
     :: seen == in_loop || seen == full -> eventfd = 1
     :: else
     fi
  fi;
  atomic { seen = awake; unchanged[self] = 0 }
}

proctype waker(byte self) {
  byte seen;
  do
  :: published[RING(self)] < MESSAGES ->
#ifdef BUG_LOOKS_BEFORE_IT_STORES
     LOOK_AT_WORD(self);
#endif
     atomic {
       published[RING(self)]++;
       STORE(self, RING(self), published[RING(self)])
     };
     if
     :: symmetric -> BARRIER(self)
     :: else /* a compiler barrier */
     fi;
     RING_BELL(self)
  :: else -> break
  od
}

init {
  atomic {
    if
    :: symmetric = 0
    :: symmetric = 1
    fi;
    run sleeper();
    run waker(1);
    run waker(2)
  }
}

/* Nothing moves any more. */
active proctype judge() {
  timeout ->
  REACH("an end");
  assert(asleep && DRAINED(0) && DRAINED(1) && DRAINED(2));
  assert(published[0] == MESSAGES && published[1] == MESSAGES);
  assert(taken[1] == MESSAGES);
  assert(taken[0] == MESSAGES || place == full);
  if
  :: taken[0] != MESSAGES -> REACH("only what is not urgent is left, to one that is full")
  :: taken[0] == MESSAGES && place == on_futex -> REACH("all is taken, and it sleeps on the futex")
  :: taken[0] == MESSAGES && place == in_loop -> REACH("all is taken, and it sleeps in its loop")
  :: else
  fi
}
