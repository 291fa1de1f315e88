"""Relabelled trees: one pass over millions of stored crops.

``scan`` is the pass and goes on where it was stopped (``checkpoint``); ``facts`` reads a batch by the compiled ``kernel`` or
on torch (``rows``), ``values`` and ``regions`` say what is counted and ``sums`` adds it up; ``seen``, ``estimates``,
``tables`` and ``caveats`` tell it.
"""
