"""DD-Ranking's scores of a distilled set (arXiv 2505.13300), on shares of the exam and never on per cent.

The published code (v0.2.0) puts percentage points into the exponential, which leaves the range that the paper's
normalisation is made for; here an accuracy is between 0 and 1, so LRS and ARS are too.
"""

from __future__ import annotations

import numpy as np


def hlr(real_hard: np.ndarray, synthetic_hard: np.ndarray) -> np.ndarray:
    """Hard-label recovery: what is lost from training on all real images to training on the synthetic ones, both with hard
    labels; smaller is better. All arguments here are accuracies in [0, 1], float64 (S,), one a seed."""
    return real_hard - synthetic_hard


def ior(synthetic_own: np.ndarray, random_own: np.ndarray) -> np.ndarray:
    """Improvement over random: what synthetic images gain over as many random real ones, both taught the set's own way."""
    return synthetic_own - random_own


def lrs(improvement: np.ndarray, loss: np.ndarray, w: float) -> np.ndarray:
    """Label-robust score in [0, 1] of IOR and HLR: ``normalised(w IOR - (1 - w) HLR)``."""
    return normalised(w * improvement - (1 - w) * loss)


def ars(gain_augmented: np.ndarray, gain_plain: np.ndarray, g: float) -> np.ndarray:
    """Augmentation-robust score in [0, 1] of the gains over random with and without augmentation."""
    return normalised(g * gain_augmented + (1 - g) * gain_plain)


def normalised(value: np.ndarray) -> np.ndarray:
    """(e^x - e^-1) / (e - e^-1): -1 to 1 becomes 0 to 1."""
    return (np.exp(value) - np.exp(-1)) / (np.e - np.exp(-1))
