"""Small students trained on a set, to see on real images what a correction or a curation did.

``task`` says what is asked, ``networks`` and ``losses`` what learns and how it is taught, ``training`` trains several seeds
at once, ``material`` makes lessons and exam of a set, ``comparison`` says what the marks differ by and how sure that is.
"""
