"""FerKD's regions of crops: which rows its rule would discard, soften or keep, and how many (arXiv 2312.17473)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data.errors import ImpossibleRequest

REGIONS = ("hard negative", "context", "hard positive", "easy")
TREATMENTS = ("discarded", "softened", "kept", "discarded")
"""What FerKD does with the rows of each region; "softened" is a smoothed hard label in place of the soft one."""
NUM_REGIONS = len(REGIONS)


@dataclass(frozen=True)
class Thresholds:
    """T_L, T_M and T_T: a crop whose largest probability y lies below ``low`` is a hard negative, below ``middle`` context,
    up to ``top`` a hard positive, and above it easy. The paper's own numbers could not be checked: these are ours."""

    low: float = 0.15
    middle: float = 0.5
    top: float = 0.95

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.middle <= self.top <= 1:
            raise ImpossibleRequest(
                f"the thresholds {self.low:g}, {self.middle:g} and {self.top:g} must not decrease and lie between 0 and 1."
            )


def region_table(class_names: tuple[str, ...], labels: np.ndarray, rows: np.ndarray, unmixed: np.ndarray) -> pd.DataFrame:
    """One line a class and region: ``rows`` of it, their ``share`` of the class's rows (NaN without any), the same of the
    nearly unmixed rows alone, and the ``treatment`` that FerKD has for it.

    ``rows`` and ``unmixed`` (n, 4) count each sample's crops by region; ``labels`` int64 (n,) are the samples' classes.
    """
    counts, alone = (_by_class(labels, counted, len(class_names)) for counted in (rows, unmixed))
    return pd.DataFrame(
        {
            "class_id": np.repeat(np.arange(len(class_names)), NUM_REGIONS),
            "class_name": np.repeat(np.asarray(class_names, dtype=object), NUM_REGIONS),
            "region": np.tile(np.asarray(REGIONS, dtype=object), len(class_names)),
            "treatment": np.tile(np.asarray(TREATMENTS, dtype=object), len(class_names)),
            "rows": counts.ravel().astype(np.int64),
            "share": region_shares(counts).ravel(),
            "unmixed_rows": alone.ravel().astype(np.int64),
            "unmixed_share": region_shares(alone).ravel(),
        }
    )


def region_shares(counts: np.ndarray) -> np.ndarray:
    """Counts (n, 4) as shares of their line, NaN where it is empty."""
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)


def treated(counts: np.ndarray, treatment: str) -> np.ndarray:
    """How many rows of each line of ``counts`` (n, 4) get ``treatment``, (n,)."""
    return counts[:, [name == treatment for name in TREATMENTS]].sum(axis=1)


def _by_class(labels: np.ndarray, counted: np.ndarray, num_classes: int) -> np.ndarray:
    return np.stack([np.bincount(labels, column, num_classes) for column in counted.T], axis=1)
