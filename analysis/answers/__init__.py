"""What can be learnt from several answers to the same question.

``top_two`` estimates the two likeliest classes and their confusion, ``candidate_em`` resolves sets of possible classes,
``ratings`` rates samples and annotators by ``irt`` or ``glicko``.
"""
