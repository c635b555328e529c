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
]
