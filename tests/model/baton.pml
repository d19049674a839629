/* The baton: who collects, who sleeps, and that neither is forgotten.
 *
 * Models    lib/pool/baton_code.hpp (leave, enlist, delist, tell) and baton.hpp; lib/pool/turns.cpp
 *           (wait, collect_until, park, become_owner, leave); lib/pool/service.cpp (turn, collect,
 *           next_timer_ns, handle_events); lib/pool/callbacks.cpp (run); submit, when_done and
 *           look_after of Core; tell_service_once and post_callback of lib/pool/state.hpp;
 *           Settler::finish; Dispatcher::feed and unreserve.
 * Property  One owner at a time. Nobody sleeps for ever (P5, F30): where nothing can move any more:
 *           who waited has returned; nothing waits in the backlog; no worker waits for an answer;
 *           what was posted to the callback thread has run, unless an earlier callback never ends.
 *
 * Cases
 *   CALLERS    two that wait for a task each, of whom one may give up
 *   LEAVER     one that waits for a task, and leaves others in the backlog
 *   URGENT     one that waits, and one that takes the baton urgently, to cancel
 *   CALLBACKS  callbacks, of which each may last for ever, one of a task that never ends, a backlog
 *   SPACE      a worker asks for result space for a task that nobody waits for
 *   STRANGER   somebody ends an entry who has not got the baton, only the lock
 *
 * Bugs
 *   ONE_LOOK_AT_THE_LIST (CALLERS)       an owner that leaves frees the baton and looks no more
 *   LOOKS_BEFORE_IT_ENLISTS (CALLERS)    a waiter looks whether it is done, then enlists
 *   GIVES_UP_WITH_THE_BATON (CALLERS)    one that gives up does not see that it was handed it
 *   PARKS_ALTHOUGH_WANTED (URGENT)       an owner that parks does not look who asks urgently
 *   TOLD_CLEARED_AFTER_THE_LOOK (URGENT) the service looks who collects, then clears service_told
 *   CALLBACK_THREAD_TELLS_NOBODY (CALLBACKS)  it leaves a backlog behind, and is not back soon
 *   OWNER_IS_NOT_RUNG (STRANGER, CALLBACKS)  what an owner waits for is ended by another
 *   REQUEST_MISSED (SPACE)               the service, told while an owner leaves, goes away
 *
 * Found by
 *   ONE_LOOK_AT_THE_LIST          (returned<2)||backlogged
 *   LOOKS_BEFORE_IT_ENLISTS       (returned<2)&&done[1]
 *   GIVES_UP_WITH_THE_BATON       (returned<2)||backlogged
 *   PARKS_ALTHOUGH_WANTED         !((returned<2))
 *   TOLD_CLEARED_AFTER_THE_LOOK   (0||backlogged)
 *   CALLBACK_THREAD_TELLS_NOBODY  (expected!=0)&&!(stuck)
 *   OWNER_IS_NOT_RUNG             (returned==0)
 *   REQUEST_MISSED                !(asks)
 *
 * Abstracted, and why that is sound:
 * - Every backstop (1 s) is left out, and so is the 1 ms of take_urgently. So what passes here does
 *   not rest on them. The service's ticks stay, since they are meant to make it look. One that
 *   would find and change nothing is not taken, or there would always be one, and never an end to
 *   look at.
 * - A worker publishes and rings in one step, and the looks after parking are one: that no wake-up
 *   is lost between slot and word is in bell.pml.
 * - To hand a callback over is one step: who comes between finds the queue not empty.
 * - What is done under the lock is one step, for whoever sees a part of it without the lock (that
 *   an entry is done) can do nothing with it that the rest would hinder.
 * - So is what is done under the list's mutex. Whom a leaving owner picks among those who are not
 *   urgent is open: more than first come, first served.
 * - One worker, always awake, answers in order; one task is under way at a time, or two.
 * - A deadline passes at any moment of the wait on the list. An owner whose time is up leaves as
 *   any other does.
 * - Memory is sequentially consistent: all that crosses here is read-modify-writes, sequentially
 *   consistent, or under a lock.
 */
#include "reach.inc"

#define nobody 0
#define caller 1
#define service 2

#define waiting 0
#define handed 1
#define told 2

#define awake 0
#define on_futex 1
#define in_loop 2

#ifdef CASE_STRANGER
#define TASKS 1
#elif defined CASE_CALLERS || defined CASE_SPACE || defined CASE_URGENT
#define TASKS 2
#else
#define TASKS 3
#endif
#ifdef CASE_SPACE
#define DEPTH 2
#else
#define DEPTH 1 /* tasks under way at a time */
#endif

/* What one waits for: a task, or one of these. */
#define the_callbacks TASKS
#define the_baton (TASKS + 1)

/* Who waits. */
#define ALICE 0
#define BOB 1
#define THREAD 1 /* for callbacks */
#define URSULA 2 /* urgent */
#define SERVICE 3 /* urgent */
#define URGENT(who) ((who) >= URSULA)
#ifdef CASE_CALLERS
#define SUBJECT(who) ((who) == ALICE -> 1 : (URGENT(who) -> the_baton : 0))
#elif defined CASE_CALLBACKS
#define SUBJECT(who) ((who) == THREAD -> the_callbacks : (URGENT(who) -> the_baton : 0))
#else
#define SUBJECT(who) (URGENT(who) -> the_baton : 0)
#endif

/* The baton. */
byte holder;
byte owners; /* as seen from above */
byte listed;
byte urgent;
bool in_list[4];
byte word[4];

/* The manager's bell, and the service's eventfd. */
byte bell;
bool eventfd;

/* The pool. */
#if defined CASE_CALLERS || defined CASE_LEAVER || defined CASE_URGENT
bool backlogged = 1;
#else
bool backlogged;
#endif
bool service_told;
bool service_ticks; /* it looks again by itself, soon */
bool fresh; /* somebody has collected since the service looked last */
#if defined CASE_CALLERS || defined CASE_LEAVER || defined CASE_URGENT
byte submitted = TASKS;
byte dispatched = 1;
#else
byte submitted;
byte dispatched;
#endif
byte ended;
bool done[TASKS];
bool waited[TASKS + 2];

/* The result ring. */
byte published;
byte drained;
bool granted;

/* The callback thread. */
byte expected;
byte queue;
byte registered[TASKS];
bool stuck; /* in a callback that never ends */

hidden byte w;
hidden byte t;

#ifdef CASE_SPACE
#define IS_REQUEST(message) ((message) == 1)
#define TASK_OF(message) ((message) == 0 -> 0 : 1)
#else
#define IS_REQUEST(message) false
#define TASK_OF(message) (message)
#endif

#define ANY_RESULTS (drained != published)
#define NEEDS_COLLECTOR backlogged
#define NEEDED (backlogged || expected != 0)

inline RING_BELL() {
  d_step {
    if
    :: bell == in_loop -> eventfd = 1
    :: else
    fi;
    bell = awake
  }
}

inline UNLINK(him) {
  in_list[him] = 0;
  listed--;
  if
  :: URGENT(him) -> urgent--
  :: else
  fi
}

inline TELL(what) {
  w = 0;
  do
  :: w < 4 && in_list[w] && SUBJECT(w) == (what) -> UNLINK(w); word[w] = told; w++
  :: w < 4 && !(in_list[w] && SUBJECT(w) == (what)) -> w++
  :: else -> break
  od
}

/* For use in an atomic step that has seen that nobody has it. */
inline TAKE(who) {
  holder = who;
  owners++;
  assert(owners == 1)
}

inline ENLIST(me) {
  d_step {
    word[me] = waiting;
    in_list[me] = 1;
    listed++;
    if
    :: URGENT(me) -> urgent++
    :: else
    fi
  }
}

inline DELIST(me) {
  if
  :: word[me] == waiting -> UNLINK(me)
  :: word[me] == handed -> own = 1
  :: word[me] == told
  fi;
  word[me] = waiting
}

inline TELL_SERVICE_ONCE() {
  d_step {
    if
    :: !service_told -> service_told = 1; eventfd = 1
    :: else
    fi
  }
}

#define CAN_BE_HANDED(him) (in_list[him] && (urgent == 0 || URGENT(him)))

/* The owner is another one now. */
inline HAND_TO(him) {
  d_step {
    UNLINK(him);
    holder = caller;
    word[him] = handed
  }
}

/* Baton::leave, then Turns::leave. */
inline LEAVE(back_soon) {
  do
  :: listed == 0 ->
     d_step { holder = nobody; owners-- };
#ifdef BUG_ONE_LOOK_AT_THE_LIST
     break
#else
     if
     :: listed == 0 -> break
     :: listed != 0
     fi;
     if
     :: atomic { holder == nobody -> TAKE(caller); REACH("somebody enlisted as it left") }
     :: holder != nobody -> break
     fi
#endif
  :: listed != 0 ->
     if
     :: atomic { CAN_BE_HANDED(0) -> HAND_TO(0) }; break
     :: atomic { CAN_BE_HANDED(1) -> HAND_TO(1) }; break
     :: atomic { CAN_BE_HANDED(2) -> HAND_TO(2) }; break
     :: atomic { CAN_BE_HANDED(3) -> HAND_TO(3) }; break
     :: atomic { listed == 0 -> REACH("they have all left the list meanwhile") }
     fi
  od;
  if
  :: NEEDS_COLLECTOR ->
     if
     :: atomic {
          holder == nobody ->
          if
#ifdef BUG_CALLBACK_THREAD_TELLS_NOBODY
          :: back_soon
#else
          :: back_soon && service_ticks -> REACH("the service ticks: it needs not be told")
#endif
          :: else -> TELL_SERVICE_ONCE()
          fi
        }
     :: holder != nobody
     fi
  :: else
  fi
}

/* Settler::finish. With the lock. */
inline SETTLE(which) {
  done[which] = 1;
  if
  :: waited[which] -> TELL(which)
  :: else
  fi;
  if
  :: registered[which] != 0 ->
     queue = queue + registered[which];
     registered[which] = 0;
     TELL(the_callbacks)
  :: else
  fi
}

/* Collector::collect, by the owner. With the lock. */
inline COLLECT() {
  d_step {
    do
    :: drained < published && IS_REQUEST(drained) -> granted = 1; drained++
    :: drained < published && !IS_REQUEST(drained) ->
       t = TASK_OF(drained);
       SETTLE(t);
       ended++;
       drained++
    :: else -> break
    od;
    do
    :: dispatched < submitted && dispatched - ended < DEPTH -> dispatched++
    :: else -> break
    od;
    backlogged = (dispatched < submitted)
  }
}

#define reached_it 0
#define handed_on 1

#ifdef BUG_PARKS_ALTHOUGH_WANTED
#define WANTED(reached) (reached || ANY_RESULTS)
#else
#define WANTED(reached) (reached || ANY_RESULTS || urgent != 0)
#endif

/* Turns::collect_until. */
inline COLLECT_UNTIL(reached) {
  fresh = 1;
  do
  :: atomic { reached -> turn = reached_it }; break
  :: atomic { !(reached) && urgent != 0 -> turn = handed_on }; break
  :: atomic { !(reached) && urgent == 0 && ANY_RESULTS -> COLLECT() }
  :: !(reached) && urgent == 0 && !ANY_RESULTS ->
     bell = on_futex;
     if
     :: atomic { WANTED(reached) -> bell = awake; REACH("finds something as it parks") }
     :: !WANTED(reached) ->
        atomic { bell == awake -> REACH("rung while it collects") }
     fi
  od
}

/* Turns::wait. */
inline WAIT(me, reached, limited, back_soon) {
  own = 0;
again:
  if
  :: atomic { holder == nobody -> TAKE(caller) }; goto collect
  :: holder != nobody
  fi;
#ifdef BUG_LOOKS_BEFORE_IT_ENLISTS
  if
  :: reached -> goto out
  :: else
  fi;
#endif
  ENLIST(me);
  waited[SUBJECT(me)] = 1;
  if
  :: atomic { holder == service -> RING_BELL(); REACH("the service is asked to give way") }
  :: holder != service
  fi;
  if
#ifdef BUG_LOOKS_BEFORE_IT_ENLISTS
  ::
#else
  :: reached
  :: !(reached) ->
#endif
     if
     :: atomic { holder == nobody -> TAKE(caller); own = 1 }
     :: holder != nobody ->
        if
        :: word[me] != waiting /* a futex: it is woken, or does not fall asleep */
        :: limited
        fi
     fi
  fi;
  atomic {
#ifdef BUG_GIVES_UP_WITH_THE_BATON
    if
    :: word[me] == handed && (limited) -> goto out
    :: else
    fi;
#endif
    DELIST(me);
    if
    :: own -> own = 0; goto collect
    :: !own && (reached) -> goto out
    :: !own && !(reached) && (limited) -> REACH("a waiter gives up"); goto out
    :: !own && !(reached) && !(limited) -> goto again
    fi
  };
collect:
  COLLECT_UNTIL(reached);
  LEAVE(back_soon);
  if
  :: turn != handed_on
  :: atomic {
       turn == handed_on ->
       turn = reached_it;
       REACH("it hands the baton on, and waits on")
     };
     goto again
  fi;
out:
  turn = reached_it
}

inline TAKE_URGENTLY(me) {
  if
  :: atomic { holder == nobody -> TAKE(caller) }
  :: holder != nobody ->
     ENLIST(me);
     RING_BELL();
     if
     :: atomic { holder == nobody -> TAKE(caller); DELIST(me) }
     :: holder != nobody ->
        atomic {
          word[me] == handed ->
          DELIST(me);
          own = 0;
          REACH("it is handed to who asks urgently")
        }
     fi
  fi
}

inline LOOK_AFTER() {
  if
  :: NEEDS_COLLECTOR ->
     if
     :: atomic { holder == nobody -> TELL_SERVICE_ONCE() }
     :: holder != nobody
     fi
  :: else
  fi
}

inline SUBMIT(n) {
  d_step {
    submitted = submitted + n;
    do
    :: !backlogged && dispatched < submitted && dispatched - ended < DEPTH -> dispatched++
    :: else -> break
    od;
    backlogged = (dispatched < submitted)
  };
  LOOK_AFTER()
}

/* Core::when_done. */
inline WHEN_DONE(which) {
  expected++;
  if
  :: atomic { !done[which] -> registered[which]++ }
  :: done[which] ->
     atomic {
       queue++;
       TELL(the_callbacks);
#ifndef BUG_OWNER_IS_NOT_RUNG
       RING_BELL(); /* the thread may be the one who collects, and parked */
#endif
       REACH("a callback on what is done already")
     }
  fi;
  LOOK_AFTER()
}

#define never 0
#define tick 1
#define callback_tick 2

inline COLLECT_AS_SERVICE() {
  if
  :: atomic { holder == nobody -> TAKE(service) };
     do
     :: atomic { NEEDED && listed == 0 && ANY_RESULTS -> fresh = 1; COLLECT() }
     :: atomic { NEEDED && listed == 0 && !ANY_RESULTS -> fresh = 1; bell = in_loop };
        if
        :: atomic { ANY_RESULTS || listed != 0 -> REACH("the service finds something as it parks") }
        :: !(ANY_RESULTS || listed != 0) -> eventfd /* it does not take it */
        fi;
        bell = awake;
        if
        :: ANY_RESULTS
        :: !ANY_RESULTS -> break
        fi
     :: !NEEDED || listed != 0 -> break
     od;
     LEAVE(false)
  :: holder != nobody
  fi
}

active proctype service_thread() {
  bool own;
  byte next;
  do
  :: if
     :: atomic { NEEDED && holder == nobody && fresh -> fresh = 0 }
     :: atomic { NEEDED && holder == nobody && !fresh -> REACH("the service collects") };
        COLLECT_AS_SERVICE()
     :: !(NEEDED && holder == nobody)
     fi;
     /* next_timer_ns */
#ifndef BUG_TOLD_CLEARED_AFTER_THE_LOOK
     d_step { service_ticks = 0; service_told = 0 };
#endif
     if
     :: NEEDS_COLLECTOR ->
        if
        :: atomic { holder == nobody -> service_told = 1; next = tick }
        :: holder != nobody
        fi
     :: else
     fi;
     if
     :: next == never && expected != 0 ->
        atomic { service_ticks = 1; next = callback_tick }
     :: next != never || expected == 0
     fi;
#ifdef BUG_TOLD_CLEARED_AFTER_THE_LOOK
     service_told = 0;
#endif
     /* handle_events */
     if
     :: atomic { eventfd -> eventfd = 0; next = never };
#ifdef BUG_REQUEST_MISSED
        if
        :: atomic { holder == nobody -> TAKE(caller); COLLECT() }; LEAVE(false)
        :: holder != nobody
        fi
#else
        TAKE_URGENTLY(SERVICE);
        COLLECT();
        LEAVE(false)
#endif
     :: next == tick -> next = never
     :: next == callback_tick && ((NEEDED && holder == nobody) || expected == 0) -> next = never
     fi
  od
}

byte returned; /* of those who wait, and of the user */

#ifdef CASE_CALLERS

active proctype alice() {
  bool own;
  byte turn;
  WAIT(ALICE, done[1], false, false);
  assert(done[1]);
  returned++
}

active proctype bob() {
  bool own;
  byte turn;
  bool patient;
  if
  :: patient = 1
  :: patient = 0
  fi;
  WAIT(BOB, done[0], !patient, false);
  returned++
}

#define WAITING ((returned < 2 && done[1]) || (returned == 0 && done[0]))
#define SOMEBODY_WAITS (returned < 2)

#elif defined CASE_LEAVER

active proctype alice() {
  bool own;
  byte turn;
  WAIT(ALICE, done[0], false, false);
  returned++
}

#define WAITING (done[0] && returned == 0)
#define SOMEBODY_WAITS (returned == 0)

#elif defined CASE_URGENT

active proctype alice() {
  bool own;
  byte turn;
  WAIT(ALICE, done[0], false, false);
  assert(done[0]);
  returned++
}

/* She cancels. */
active proctype ursula() {
  bool own;
  TAKE_URGENTLY(URSULA);
  COLLECT();
  d_step {
    if
    :: !done[0] -> SETTLE(0)
    :: else
    fi
  };
  LEAVE(false);
  returned++
}

#define WAITING (returned < 2)
#define SOMEBODY_WAITS false

#elif defined CASE_CALLBACKS

active proctype user() {
  SUBMIT(1);
  WHEN_DONE(0);
  SUBMIT(2);
  WHEN_DONE(2);
  WHEN_DONE(0);
  returned++
}

active proctype callback_thread() {
  bool own;
  byte turn;
  do
  :: queue != 0 ->
     queue--;
     if
     :: skip
     :: stuck = 1; false /* it never returns */
     fi;
     expected--
  :: queue == 0 && expected != 0 ->
     WAIT(THREAD, queue != 0, false, true)
  od
}

#define WAITING (returned == 0 || (queue != 0 && !stuck))
#define SOMEBODY_WAITS (expected != 0 && !stuck)

#elif defined CASE_SPACE

active proctype alice() {
  bool own;
  byte turn;
  SUBMIT(2);
  WAIT(ALICE, done[0], false, false);
  returned++
}

#define WAITING (done[0] && returned == 0)
#define SOMEBODY_WAITS (returned == 0)

#elif defined CASE_STRANGER

active proctype alice() {
  bool own;
  byte turn;
  SUBMIT(1);
  WAIT(ALICE, done[0], false, false);
  returned++
}

active proctype stranger() {
  d_step { SETTLE(0) };
#ifndef BUG_OWNER_IS_NOT_RUNG
  RING_BELL()
#endif
}

#define WAITING (returned == 0)
#define SOMEBODY_WAITS false

#endif

bool asks; /* for result space */

#ifdef CASE_SPACE
#define ANSWERS (TASKS + 1) /* an answer, a request, an answer */
#elif defined CASE_STRANGER
#define ANSWERS 0
#elif defined CASE_CALLBACKS
#define ANSWERS 2 /* the last task never ends */
#else
#define ANSWERS TASKS
#endif

/* It may stay with any of its tasks for ever; in CALLBACKS with the last one. */
active proctype worker() {
  do
  :: atomic {
       published < ANSWERS && TASK_OF(published) < dispatched ->
       asks = IS_REQUEST(published);
       published++;
       RING_BELL()
     };
     if
     :: asks -> eventfd = 1; granted; asks = 0
     :: !asks
     fi
#ifndef CASE_CALLBACKS
  :: break
#endif
  od
}

/* Nothing moves any more. */
active proctype judge() {
  timeout ->
  assert(!WAITING);
  assert(!ANY_RESULTS || !(SOMEBODY_WAITS || NEEDS_COLLECTOR));
  assert(!backlogged || dispatched - ended == DEPTH);
  assert(!asks);
  REACH("an end")
}
