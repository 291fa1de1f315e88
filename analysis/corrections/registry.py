"""The registry of corrections: functions ``(distilled_set, source, context, *, parameter=default, ...) -> Corrected``.

A correction computes new soft labels from a label source; it never changes the source. It is registered by one decorator,
with parameters as an analysis has them (analysis/registry.py): the form on the Correct page, the command line and the common
behaviour test follow from that.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch

from analysis.context import Context
from analysis.corrections.as_logits import as_logits, is_slow
from analysis.findings import Figure
from analysis.label_sources import ChosenSource, choose, rows_a_chunk
from analysis.registry import Entry, Need, parameters_of
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest


@dataclass(frozen=True)
class Rescaling:
    """A correction that is the same for every row of logits of a class: ``logits / divisor[label] - shift``.

    Both float64 (C,), ``divisor`` positive. What every row of a relabelled tree can be given, crop by crop.
    """

    divisor: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class Corrected:
    """New soft labels, not yet computed for more samples than somebody asks for.

    ``logits(ids int64 (n,))`` is float32 (n, C) on the CPU, finite, and its softmax is the corrected distribution. ``found``
    says what was estimated (tau*, temperatures, stages), each with what it is computed from; ``tables`` are curves and the
    like, charted as those of Findings are (app/table_figures.py). ``rescaling`` where the correction is one.
    """

    logits: Callable[[np.ndarray], torch.Tensor]
    found: tuple[Figure, ...] = ()
    caveats: tuple[str, ...] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    rescaling: Rescaling | None = None

    def stream(self, n: int, num_classes: int, context: Context) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """(ids, logits) of samples 0 to n - 1 in chunks, with progress."""
        rows = rows_a_chunk(num_classes)
        starts = range(0, n, rows)
        for start in context.track(starts, len(starts), "computing the new labels"):
            ids = np.arange(start, min(start + rows, n))
            yield ids, self.logits(ids)


CorrectionFunction = Callable[..., Corrected]


@dataclass(frozen=True)
class Correction(Entry):
    """A registered correction. Where ``needs`` leaves out "soft labels" it can do without a source, and gets None where the
    set has none; a derived source is as good as one that came with the set."""

    KIND: ClassVar[str] = "correction"

    def missing(self, distilled_set: DistilledSet) -> tuple[Need, ...]:
        """What this needs and the set does not have."""
        derived = bool(distilled_set.derived_sources)
        return tuple(need for need in super().missing(distilled_set) if not (derived and need == "soft labels"))


_REGISTRY: dict[str, Correction] = {}


def correction(
    *, title: str, meaning: str, paper: str, needs: tuple[Need, ...] = ("soft labels",)
) -> Callable[[CorrectionFunction], CorrectionFunction]:
    """Register the decorated function under its own name; see ``analysis.registry.Entry`` for what is said of it."""

    def register(function: CorrectionFunction) -> CorrectionFunction:
        name = function.__name__
        if name in _REGISTRY and _REGISTRY[name].function.__module__ != function.__module__:
            raise ValueError(f"two corrections are called '{name}'")
        _REGISTRY[name] = Correction(name, title, meaning, paper, needs, parameters_of(function), function)
        return function

    return register


@cache
def _import_all() -> None:
    import analysis.corrections as package

    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def corrections() -> dict[str, Correction]:
    """All corrections by name, in the order of their names."""
    _import_all()
    return dict(sorted(_REGISTRY.items()))


def find(name: str) -> Correction:
    """The correction called ``name``. Raises ImpossibleRequest naming those there are."""
    known = corrections()
    if name not in known:
        raise ImpossibleRequest(f"there is no correction '{name}'; choose one of {', '.join(known)}.")
    return known[name]


def correct(
    name: str, distilled_set: DistilledSet, source: str = "", context: Context | None = None, **parameters: Any
) -> Corrected:
    """Correct the label source called ``source`` ("" as in ``label_sources.choose``).

    Raises ImpossibleRequest where the set lacks what the correction needs, or it cannot be done honestly.
    """
    return correct_chosen(name, distilled_set, source_for(name, distilled_set, source), context, **parameters)


def source_for(name: str, distilled_set: DistilledSet, source: str = "") -> ChosenSource | None:
    """The label source that the correction called ``name`` is given; None where it can do without and there is none.

    Raises ImpossibleRequest where the set lacks what the correction needs.
    """
    entry = find(name)
    missing = entry.missing(distilled_set)
    if missing:
        raise ImpossibleRequest(f"{entry.title} needs {' and '.join(missing)}, which {distilled_set.name} does not have.")
    if distilled_set.num_classes < 2:
        raise ImpossibleRequest(f"{distilled_set.name} has one class, so its labels leave nothing to correct.")
    wanted = bool(source or distilled_set.selectable_sources or "soft labels" in entry.needs)
    return choose(distilled_set, source) if wanted else None


def correct_chosen(
    name: str, distilled_set: DistilledSet, chosen: ChosenSource | None, context: Context | None = None, **parameters: Any
) -> Corrected:
    """``correct`` with the source that ``source_for`` gave; the correction reads it as logits (corrections/as_logits.py)."""
    entry, context = find(name), context or Context()
    arguments = entry.arguments(parameters)
    if chosen is not None:
        reading, context = (context.part(0, 0.5), context.part(0.5, 1)) if is_slow(chosen.labels) else (context, context)
        chosen = replace(chosen, labels=as_logits(chosen.labels, reading))
    return entry.function(distilled_set, chosen, context, **arguments)
