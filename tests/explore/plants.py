"""Bugs to be planted: each must be found by its model.

A plant is (name, model, file, edits); an edit is (function, text, replacement). The text must stand
in that function exactly once, so that a plant cannot come to change nothing unnoticed."""

DEQUE = "sched/deque.c"

PLANTS = [
    ("deque: no fence in take", "deque_model", DEQUE,
     [("skua__deque_pop", "    skua__fence(seq_cst);\n", "")]),
    ("deque: acq_rel instead of seq_cst in take", "deque_model", DEQUE,
     [("skua__deque_pop", "skua__fence(seq_cst)", "skua__fence(acq_rel)"),
      ("skua__deque_pop", "top + 1, seq_cst, relaxed", "top + 1, acq_rel, relaxed")]),
    ("deque: acq_rel instead of seq_cst in steal", "deque_model", DEQUE,
     [("skua__deque_steal", "skua__fence(seq_cst)", "skua__fence(acq_rel)"),
      ("skua__deque_steal", "top + 1, seq_cst, relaxed", "top + 1, acq_rel, relaxed")]),
    ("deque: no fence in steal", "deque_model", DEQUE,
     [("skua__deque_steal", "    skua__fence(seq_cst);\n", "")]),
    ("deque: no release in push", "deque_model", DEQUE,
     [("skua__deque_push", "bottom + 1, release", "bottom + 1, relaxed")]),
    ("deque: no swap for the last item", "deque_model", DEQUE,
     [("skua__deque_pop",
       "if (!skua__cas(&deque->top, &top, top + 1, seq_cst, relaxed)) {\n"
       "            item = NULL;\n        }\n",
       "skua__store(&deque->top, top + 1, relaxed);\n")]),
    ("deque: the slot is read after the swap", "deque_model", DEQUE,
     [("skua__deque_steal", "    void *item = skua__load(slot_of(array, top), relaxed);\n", ""),
      ("skua__deque_steal",
       "return skua__cas(&deque->top, &top, top + 1, seq_cst, relaxed) ? item : NULL;",
       "return skua__cas(&deque->top, &top, top + 1, seq_cst, relaxed)\n"
       "               ? skua__load(slot_of(array, top), relaxed) : NULL;")]),
    ("deque: the array is not loaded again after growing", "deque_model", DEQUE,
     [("skua__deque_push", "array = grow(deque, top, bottom);\n        if (array == NULL) {",
       "if (grow(deque, top, bottom) == NULL) {")]),
    ("ring: the slots are read after the swap", "ring_model", "sched/ring.c",
     [("skua__ring_take_half",
       "        for (uint32_t i = 0; i < count; i++) {\n"
       "            out[i] = skua__load(&ring->slots[(head + i) & MASK], relaxed);\n        }\n", ""),
      ("skua__ring_take_half", "            return count;\n",
       "            for (uint32_t i = 0; i < count; i++) {\n"
       "                out[i] = skua__load(&ring->slots[(head + i) & MASK], relaxed);\n"
       "            }\n            return count;\n")]),
    ("ring: the owner takes without a swap", "ring_model", "sched/ring.h",
     [("skua__ring_pop", "skua__cas(&ring->head, &head, head + 1, release, relaxed)",
       "(skua__store(&ring->head, head + 1, release), true)")]),
    ("park: a wake-up is lost, no fence by the last searcher", "park_model", "sched/worker.c",
     [("may_sleep", "skua__runtime_heavy_fence(runtime);", "")]),
    ("park: a wake-up is lost, no last look", "park_model", "sched/worker.c",
     [("may_sleep", "!must_recheck || !skua__runtime_has_work(runtime)", "true")]),
    ("park: a wake-up is lost, no second look at searchers", "park_model", "sched/idle.h",
     [("skua__idle_wants_wake", "        skua__fence(seq_cst);\n", "")]),
    ("park: a wake-up is lost, the last one found does not look", "park_model", "sched/worker.c",
     [("find_work", "skua__idle_search_end(&runtime->idle) && skua__runtime_has_work(runtime)",
       "skua__idle_search_end(&runtime->idle) && false")]),
    ("park: a wake-up is lost, the permit comes too late", "park_model", "sched/runtime.c",
     [("skua__runtime_wake_sleeper",
       "    skua__store(&sleeper->permit, permit, release);\n", ""),
      ("skua__runtime_wake_sleeper", "    skua__futex_wake(&sleeper->permit, 1, false);\n",
       "    skua__futex_wake(&sleeper->permit, 1, false);\n"
       "    skua__store(&sleeper->permit, permit, release);\n")]),
    ("park: a double wake, a sleeper is claimed and stays in the list", "park_model", "sched/idle.c",
     [("skua__idle_claim", "        take_out(idle, sleeper, true);\n",
       "        skua__fetch_add(&idle->state, SEARCHING_ONE - PARKED_ONE, relaxed);\n")]),
    ("waiter: a double wake, claimed without a swap", "waiter_model", "sched/waiter.c",
     [("skua__claim", "return skua__cas(&parker->word, &ticket, claimed, acq_rel, relaxed);",
       "if (skua__load(&parker->word, acquire) != ticket) { return false; }\n"
       "    skua__store(&parker->word, claimed, release);\n    return true;")]),
    ("waiter: a late claim ends the next wait", "waiter_model", "sched/waiter.c",
     [("skua__wait_begin", "((sequence + 1) <<", "(sequence <<")]),
    ("waiter: a late canceller claims the next wait", "waiter_model", "sched/scope.c",
     [("claim_wait", "skua__claim(parker, word, cause)",
       "skua__claim(parker, skua__load(&parker->word, acquire), cause)"),
      ("skua__scope_cancel", "        claim_tree(scope, SKUA__CAUSE_CANCEL, &list);\n", ""),
      ("skua__scope_cancel", "    skua__unlock(&scope->lock, SKUA__RANK_SCOPE);\n",
       "    skua__unlock(&scope->lock, SKUA__RANK_SCOPE);\n"
       "    claim_tree(scope, SKUA__CAUSE_CANCEL, &list);\n")]),
    ("waiter: a cancel is missed, no heavy fence", "waiter_model", "sched/scope.c",
     [("skua__scope_cancel", "        skua__runtime_heavy_fence(runtime);\n", "")]),
]
