"""Soft label bars of one sample from three sources, of a binary task, and of none."""

import numpy as np

from app.components.soft_label_bars import BarSource, soft_label_bars
from tests.browser.component_pages.pictures import CLASSES


def peaked(top: int, weight: float, classes: int = 10) -> np.ndarray:
    rest = np.linspace(2, 1, classes) / np.linspace(2, 1, classes).sum() * (1 - weight)
    rest[top] += weight
    return rest


sources = [
    BarSource("given", "logits", peaked(3, 0.62)),
    BarSource("resnet-18", "probabilities", peaked(5, 0.91)),
    BarSource("convnet-3 with a long name", "scores", np.eye(10)[5] * 0.998 + 0.0002),
]
soft_label_bars(CLASSES, sources, key="three", given=3, suggested=5)
soft_label_bars(("negative", "positive"), [BarSource("given", "scores", np.array([0.27, 0.73]))], key="binary", given=1)
soft_label_bars(CLASSES, [], key="none")
