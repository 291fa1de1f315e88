"""Corrections of soft labels: each computes a new label source from an old one, which it leaves as it is.

``registry`` lists them; every other module here is one of them or what it is made of.
"""

from analysis.corrections.registry import Corrected, Correction, Rescaling, correct, correction, corrections, find

__all__ = ["Corrected", "Correction", "Rescaling", "correct", "correction", "corrections", "find"]
