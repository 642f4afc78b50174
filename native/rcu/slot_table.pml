/*
 * The protocol of slot_table.h as a model for SPIN: one slot, two workers, a few versions. Names
 * are those of the code; each line that touches what two threads share is one step. check_model.sh
 * runs it.
 *
 * What is checked, over every interleaving:
 *   - nobody looks at a version that was destroyed: not in the view, not through a pin, not while
 *     walking `prev`, not in the observer, not when attaching;
 *   - a view at generation g holds exactly the version that was current at g;
 *   - everything replaced is destroyed in the end: all that happens here is bounded, so a lost
 *     wake-up or a lost reclaim leaves the main thread waiting for ever, which SPIN reports as an
 *     invalid end state.
 * What is not: the orderings on the atomics (SPIN knows only sequential consistency;
 * ThreadSanitizer sees to those) and the log, which only saves looking at what did not change.
 *
 * MUTATION breaks the protocol in one place. SPIN must refuse each:
 *   1  reclaim() does not wait for the quiet period
 *   2  a reader lets go of a version in spite of its pin
 *   3  a version counts as replaced from the generation before its replacement
 *   4  a reader announces the newest generation, then takes the one it had read
 *   5  a reader clears `notified` after it has read the generation
 *   6  reclaim() clears `reclaimAsked` after it has looked
 *   7  a reader takes the newest version, committed or not
 *   8  the horizon forgets the committed generation
 *   9  the table holds no reference of its own
 *  10  commit() wakes before it stores the generation
 *  11  a reader that finds no news leaves `notified` as it is
 *
 * PARKED models a shared table, whose readers are parked between quiet periods: they hold nothing
 * back but while they take news, having announced the epoch. They may stop for ever (`stuck`), and
 * all but the one version that each holds must be destroyed all the same. More mutations:
 *  12  a parked reader reads the generation, then announces it
 *  13  a parked reader does not announce its epoch
 *  14  a parked reader is parked again before it has taken its reference
 *  15  the horizon waits for what a parked reader has taken
 *  16  a parked reader that found no news does not ask for a reclaim
 */
#ifndef PARKED
#define PARKED 0
#endif
#ifndef MUTATION
#define MUTATION 0
#endif
#ifndef VERSIONS
#define VERSIONS 3
#endif
#ifndef TURNS
#define TURNS 1 /* of each worker, for events of its own: requests that begin and end */
#endif
#ifndef READERS
#define READERS 2
#endif
#define NONE 0 /* versions are 1..VERSIONS */
#define GONE 255

/* Version */
byte versionGeneration[VERSIONS + 1]
byte replacedAt[VERSIONS + 1]
byte prev[VERSIONS + 1]
byte refs[VERSIONS + 1]
bool retired[VERSIONS + 1]
bool returned[VERSIONS + 1]
bool freed[VERSIONS + 1]
byte freedCount

/* SlotTable */
byte current
byte generation
byte position
byte published
bool reclaimAsked
bool scheduled /* reclaim() is to run */

/* Reader: what is shared */
byte taken[READERS]
bool notified[READERS]
bool awake[READERS] /* its loop was woken */
bool attached[READERS]
byte epoch[READERS] /* of a parked reader; GONE: parked */
byte stuckWith[READERS] /* what a worker that blocks for ever holds */
bool stopping[READERS]
bool stopped[READERS]
byte handedView[READERS] /* at attach() to the worker, at detach() back */

#define LOOK(v) assert(!freed[v])

inline askForReclaim() {
  atomic { /* exchange */
    if
    :: reclaimAsked -> skip
    :: else -> reclaimAsked = true; scheduled = true
    fi
  }
}

/* The last reference hands the version on to the main thread. */
inline letGo(v) {
  atomic { /* fetch_sub */
    assert(refs[v] > 0);
    refs[v]--;
    last = (refs[v] == 0)
  }
  if
  :: last -> returned[v] = true; askForReclaim()
  :: else -> skip
  fi;
  last = false
}

inline letGoLoose() {
  if
  :: loose != NONE -> letGo(loose); loose = NONE
  :: else -> skip
  fi
}

inline walk(v, g) {
  do
  :: v != NONE ->
    LOOK(v);
    if
#if MUTATION != 7
    :: versionGeneration[v] > g -> v = prev[v]
#endif
    :: else -> break
    fi
  :: else -> break
  od
}

/* What a step looks at may be checked at its end: once destroyed, a version stays so. */
inline takeSlot() {
  version = current;
#if PARKED && MUTATION == 14
  epoch[r] = GONE;
#endif
  atomic {
    walk(version, g);
    if
    :: version != view ->
      assert(version != NONE);
      LOOK(version);
      refs[version]++;
      old = view;
      view = version
    :: else -> skip
    fi;
    version = NONE;
    /* The view is the table as of g. */
    assert(view == NONE ||
           (versionGeneration[view] <= g && (!retired[view] || replacedAt[view] > g)))
  };
  atomic {
    if
    :: old != NONE -> LOOK(old) /* the observer */
    :: else -> skip
    fi;
    if
    :: old == NONE -> skip
#if MUTATION != 2
    :: old != NONE && old == pin -> skip
#endif
    :: else -> assert(loose == NONE); loose = old
    fi;
    old = NONE
  }
}

inline quiesce() {
  g = generation;
  if
#if MUTATION == 11
  :: atomic { g == seen && loose == NONE -> g = 0 }
#else
  :: atomic { g == seen && loose == NONE && !notified[r] -> g = 0 }
#endif
  :: else ->
    letGoLoose(); /* of a pin that ended: one version at a time keeps the model small */
#if MUTATION != 5
    notified[r] = false;
#endif
#if PARKED && MUTATION != 12 && MUTATION != 13
    epoch[r] = generation;
#endif
    g = generation;
#if PARKED && MUTATION == 12
    epoch[r] = g;
#endif
#if MUTATION == 5
    notified[r] = false;
#endif
    if
    :: g != seen ->
#if MUTATION == 4
      taken[r] = generation;
#endif
      takeSlot();
#if PARKED
      epoch[r] = GONE;
#endif
      letGoLoose();
      atomic { seen = g; taken[r] = g; g = 0 };
      askForReclaim()
    :: else ->
#if PARKED && MUTATION == 16
      epoch[r] = GONE;
#elif PARKED
      epoch[r] = GONE;
      askForReclaim(); /* what another commit replaced meanwhile was held back */
#endif
      g = 0
    fi
  fi
}

inline batch() {
  if
  :: view != NONE -> LOOK(view)
  :: else -> skip
  fi;
  if
  :: pin != NONE -> LOOK(pin)
  :: else -> skip
  fi
}

proctype Worker(byte r) {
  byte view = handedView[r];
  byte seen = taken[r];
  byte pin = NONE;
  byte loose = NONE;
  byte turns = TURNS;
  byte g, version, old;
  bool last;

end_asleep:
  do
  :: atomic { awake[r] -> awake[r] = false; batch() }; quiesce()
  :: atomic { /* a request begins */
      turns > 0 && pin == NONE && view != NONE -> turns--; pin = view; batch()
    };
    quiesce()
  :: atomic { /* it ends */
      pin != NONE -> batch();
      if
      :: pin != view -> assert(loose == NONE); loose = pin
      :: else -> skip
      fi;
      pin = NONE
    };
    quiesce()
  :: atomic { stopping[r] && pin == NONE -> break }
#if PARKED
  :: atomic { !stopping[r] && view != NONE -> stuckWith[r] = view };
end_stuck:
    false
#endif
  od;

  if
  :: r != 1 -> /* ends, and is joined: the main thread detaches it */
    atomic { handedView[r] = view; stopped[r] = true }
  :: r == 1 || READERS == 1 -> /* leaves by itself */
    if
    :: view != NONE -> letGo(view); view = NONE
    :: else -> skip
    fi;
    letGoLoose();
    taken[r] = GONE;
    askForReclaim()
  fi
}

inline destroy(v) {
  assert(!freed[v]);
  freed[v] = true;
  freedCount++
}

inline publish() {
  atomic { /* what only the main thread knows */
    published++;
    version = published;
    if
    :: current != NONE && versionGeneration[current] > generation ->
      versionGeneration[version] = versionGeneration[current] /* again in the same turn */
    :: else -> position++; versionGeneration[version] = position
    fi;
    prev[version] = current;
#if MUTATION != 9
    refs[version] = 1;
#endif
    old = current
  }
  current = version;
  atomic {
    if
    :: old != NONE ->
      retired[old] = true;
#if MUTATION == 3
      replacedAt[old] = versionGeneration[version] - 1
#else
      replacedAt[old] = versionGeneration[version]
#endif
    :: else -> skip
    fi;
    old = NONE;
    version = NONE
  }
}

inline wake(r) {
  atomic { /* exchange, and the wake-up */
    if
    :: attached[r] && !notified[r] -> notified[r] = true; awake[r] = true
    :: else -> skip
    fi
  }
}

inline commit() {
#if MUTATION == 10
  wake(0);
#endif
  atomic {
    generation = position;
    if
#if !PARKED /* the commit of a shared table reclaims, whoever is there */
    :: attached[0] || attached[READERS - 1] -> skip
#endif
    :: else -> reclaimAsked = true; scheduled = true
    fi
  };
#if MUTATION != 10
  wake(0);
#endif
#if READERS > 1
  wake(1)
#endif
}

/* removeGoneReaders() and one reader's part of horizon() */
inline pass(r) {
  atomic {
    if
    :: attached[r] && taken[r] == GONE -> attached[r] = false
#if PARKED && MUTATION != 15
    :: attached[r] && taken[r] != GONE && epoch[r] < horizon -> horizon = epoch[r]
#elif MUTATION != 1
    :: attached[r] && taken[r] < horizon -> horizon = taken[r]
#endif
    :: else -> skip
    fi
  }
}

inline drop(v) {
  if
  :: retired[v] && replacedAt[v] <= horizon ->
    atomic { /* fetch_sub; the rest is the main thread's own */
      retired[v] = false;
      if
      :: refs[v] > 0 -> refs[v]--
      :: else -> skip
      fi;
      if
      :: refs[v] == 0 -> destroy(v)
      :: else -> skip
      fi
    }
  :: else -> skip
  fi
}

inline take(v) {
  if
  :: returned[v] -> returned[v] = false; destroy(v)
  :: else -> skip
  fi
}

inline reclaim() {
  atomic {
    scheduled = false;
#if MUTATION != 6
    reclaimAsked = false
#endif
  };
#if MUTATION == 8
  horizon = GONE;
#else
  horizon = generation;
#endif
  pass(0);
#if READERS > 1
  pass(1);
#endif
  drop(1);
#if VERSIONS > 2
  drop(2);
#endif
#if VERSIONS > 3
  drop(3);
#endif
  atomic { /* exchange of the list of returned versions */
    take(1);
#if VERSIONS > 2
    take(2);
#endif
#if VERSIONS > 3
    take(3);
#endif
    horizon = 0
  }
#if MUTATION == 6
  reclaimAsked = false;
#endif
}

inline attach(r) {
  atomic {
    version = current;
    walk(version, generation);
    if
    :: version != NONE -> LOOK(version); refs[version]++
    :: else -> skip
    fi;
    handedView[r] = version;
    taken[r] = generation;
    epoch[r] = GONE;
    version = NONE;
    attached[r] = true;
    began[r] = true;
    run Worker(r)
  }
}

inline detach(r) {
  atomic {
    attached[r] = false;
    stopped[r] = false;
    version = handedView[r]
  }
  if
  :: version != NONE -> letGo(version); version = NONE
  :: else -> skip
  fi;
  askForReclaim()
}

#define STUCK_WITH_OLD(r) (stuckWith[r] != NONE && stuckWith[r] != current)
#if READERS > 1
#define HELD (STUCK_WITH_OLD(0) + (STUCK_WITH_OLD(1) && stuckWith[1] != stuckWith[0]))
#else
#define HELD STUCK_WITH_OLD(0)
#endif
#define CHANGING (published < VERSIONS || position != generation)

active proctype Main() {
  byte version, old, horizon;
  bool last;
  bool began[READERS];

  do
  :: published < VERSIONS -> publish()
  :: position != generation -> commit()
  :: scheduled -> reclaim()
  :: stopped[0] -> detach(0)
  /* Workers come and go while there are changes to come: reclaiming the last of them must not
     need the end of a worker. */
  :: CHANGING && !began[0] -> attach(0)
  :: CHANGING && attached[0] && !stopping[0] -> stopping[0] = true
#if READERS > 1
  :: CHANGING && began[0] && !began[1] -> attach(1)
  :: CHANGING && attached[1] && !stopping[1] -> stopping[1] = true
#endif
  :: !CHANGING && freedCount + HELD == VERSIONS - 1 -> break
  od;
  assert(!freed[stuckWith[0]] && !freed[stuckWith[READERS - 1]])
}
