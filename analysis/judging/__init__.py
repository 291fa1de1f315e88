"""How the label errors of one set are judged where classes are small.

``judgement`` goes from parameters to scores and flags, ``small_classes`` is honest label errors at few images a class:
``shrunk_thresholds`` borrows from the other classes, ``posterior`` gives each label a probability with an interval, and
``row_shortlist`` keeps both bounded; ``caveats`` says what the reader has to know.
"""
