"""A correction of a whole set, computed and kept as a label source of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from analysis.context import Context
from analysis.corrections.registry import Corrected, Rescaling, correct_chosen, find, source_for
from data.derived_sources import DerivedSource, check_new_name, write_derived
from data.distilled_set import DistilledSet

MOST_CLASSES_WRITTEN = 1_000
"""A recipe is read by people; the rescaling of more classes follows from the correction and its parameters."""


def derive(
    name: str,
    distilled_set: DistilledSet,
    source: str,
    context: Context,
    folder: Path,
    label_name: str,
    parameters: Mapping[str, Any],
) -> DerivedSource:
    """Correct all labels of ``source`` by the correction called ``name`` and write them into the new ``folder``.

    The recipe says how: correction, paper, every parameter, the source, what was found, what to know before believing it,
    and the divisor and shift of each class where there are at most 1,000. Raises ImpossibleRequest as ``registry.correct``,
    ``check_new_name`` and ``write_derived`` do.
    """
    check_new_name(distilled_set, label_name)
    chosen = source_for(name, distilled_set, source)
    corrected = correct_chosen(name, distilled_set, chosen, context.part(0, 0.5), **parameters)
    said = recipe(name, corrected, None if chosen is None else chosen.name, parameters, len(distilled_set))
    shape = (len(distilled_set), distilled_set.num_classes)
    return write_derived(folder, label_name, shape, corrected.stream(*shape, context.part(0.5, 1)), said)


def recipe(name: str, corrected: Corrected, source: str | None, parameters: Mapping[str, Any], n: int) -> dict[str, Any]:
    """How labels of ``n`` samples were made, in plain JSON values."""
    entry = find(name)
    said = {
        "correction": name,
        "title": entry.title,
        "paper": entry.paper,
        "parameters": entry.arguments(parameters),
        "source": source,
        "samples": n,
        "found": [{key: _plain(value) for key, value in asdict(figure).items()} for figure in corrected.found],
        "caveats": list(corrected.caveats),
    }
    if corrected.rescaling is not None:
        said["rescaling"] = _written(corrected.rescaling)
    return said


def _written(rescaling: Rescaling) -> dict[str, Any]:
    """``logits / divisor[label] - shift``; without the numbers of more classes than anybody would read."""
    formula = "logits / divisor[label] - shift"
    if len(rescaling.shift) > MOST_CLASSES_WRITTEN:
        return {"formula": formula}
    return {"formula": formula, "divisor": rescaling.divisor.tolist(), "shift": rescaling.shift.tolist()}


def _plain(value: Any) -> Any:
    """Numbers that JSON cannot say are None."""
    if isinstance(value, str | None):
        return value
    return value if math.isfinite(value) else None
