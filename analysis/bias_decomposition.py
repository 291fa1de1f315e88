"""How much of a long-tailed set's bias is its teacher's and how much its images'."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd

from analysis.balance.cells import PLACES, Cells, cell_name, fill_cells, open_balanced
from analysis.balance.counts import CountsFrom, original_counts
from analysis.balance.two_by_two import BALANCED, LONG_TAILED, SIDES
from analysis.balance.two_by_two_report import two_by_two_report
from analysis.class_groups import GROUPS, HEAD, TAIL, Grouping, group_classes
from analysis.context import Context
from analysis.findings import Findings, per_class_table, per_sample_table
from analysis.label_sources import few_samples_caveat
from analysis.registry import Between, LabelSource, analysis
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

NOT_NAMED = "not named"


@analysis(
    title="Teacher bias and image bias",
    meaning=(
        "Soft labels of a long-tailed set are skewed twice: by a teacher who learnt from long-tailed data, and by images "
        "that were distilled from it. Compares labels by a balanced and a long-tailed teacher on balanced and on "
        "long-tailed images, as far as there are such, and takes the two apart."
    ),
    paper="Rectifying Soft-Label Entangled Bias in Long-Tailed Dataset Distillation (ADSA, arXiv 2511.17914)",
    needs=("soft labels",),
)
def bias_decomposition(
    distilled_set: DistilledSet,
    context: Context,
    *,
    balanced_teacher: Annotated[str, LabelSource(NOT_NAMED)] = "",
    long_tailed_teacher: Annotated[str, LabelSource(NOT_NAMED)] = "",
    balanced_set: str = "",
    counts_from: CountsFrom = "automatic",
    grouping: Grouping = "thirds",
    head_above: Annotated[int, Between(1, 10**9)] = 100,
    tail_below: Annotated[int, Between(1, 10**9)] = 20,
    temperature: Annotated[float, Between(0.01, 100)] = 1.0,
) -> Findings:
    """The four cells {balanced, long-tailed} teacher x {balanced, long-tailed} images, as far as they exist.

    This set's images are the long-tailed ones. ``balanced_teacher`` and ``long_tailed_teacher`` name its label sources by
    teachers who learnt from such data; ``balanced_set`` is the path of a second set of the same classes whose images were
    distilled from balanced data, with label sources of the same names. Nothing is guessed: a cell that nobody names is
    missing, and said to be. Classes are grouped as head_tail does it, and compared where both sets have samples of them.
    Raises ImpossibleRequest where both teachers are one label source.
    """
    if balanced_teacher and balanced_teacher == long_tailed_teacher:
        raise ImpossibleRequest(f"both teachers are '{balanced_teacher}'; name two different label sources.")
    known = original_counts(distilled_set, counts_from)
    group = group_classes(known.counts, grouping, head_above, tail_below)
    other, of_classes = open_balanced(distilled_set, balanced_set)
    teachers = {BALANCED: balanced_teacher, LONG_TAILED: long_tailed_teacher}
    sets = {LONG_TAILED: distilled_set, BALANCED: other}
    cells = fill_cells(sets, teachers, group, temperature, context.part(0, 0.6))
    basis = _basis(teachers, temperature)
    figures, tables = two_by_two_report(cells, basis, context.part(0.6, 1))
    return Findings(
        per_sample=_per_sample(distilled_set, cells, group),
        per_class=_per_class(distilled_set, cells, known.counts, group),
        summary=figures,
        caveats=(*_missing(cells), *known.caveats, *of_classes, *cells.caveats, *_caveats(distilled_set, cells)),
        headline=_headline(cells),
        tables=tables,
    )


def _basis(teachers: dict[int, str], temperature: float) -> str:
    named = [f"{SIDES[side]} teacher '{name}'" for side, name in teachers.items() if name]
    read = f" at temperature {temperature:g}" if temperature != 1 else ""
    return f"means over classes; {', '.join(named)}{read}" if named else "no teacher is named"


def _per_sample(distilled_set: DistilledSet, cells: Cells, group: np.ndarray) -> pd.DataFrame:
    """Scores tell how much mass on the own class the long-tailed teacher takes away, compared with the balanced one."""
    n, labels = len(distilled_set), distilled_set.labels
    own = {teacher: np.full(n, np.nan) for teacher in (BALANCED, LONG_TAILED)}
    to_head = {}
    for teacher in own:
        if (masses := cells.masses.get((teacher, LONG_TAILED))) is not None:
            own[teacher] = masses.own
            to_head[teacher] = group[masses.top] == HEAD
    flag = np.zeros(n, bool)
    if len(to_head) == len(own):
        flag = (group[labels] == TAIL) & to_head[LONG_TAILED] & ~to_head[BALANCED]
    lost = own[BALANCED] - own[LONG_TAILED]
    return per_sample_table(
        1 - lost.clip(0, 1),
        flag,
        group=np.array(GROUPS)[group[labels]],
        own_mass_balanced=own[BALANCED],
        own_mass_long_tailed=own[LONG_TAILED],
    )


def _per_class(distilled_set: DistilledSet, cells: Cells, counts: np.ndarray, group: np.ndarray) -> pd.DataFrame:
    """Mean own-class probability in each cell that there is, and what the teacher changes in it on long-tailed images."""
    confidence = cells.compared.confidence
    columns = {
        f"{SIDES[teacher]}_teacher_{SIDES[images]}_images".replace("-", "_"): confidence[teacher, images]
        for teacher, images in PLACES
        if (teacher, images) not in cells.missing
    }
    teacher_effect = confidence[LONG_TAILED, LONG_TAILED] - confidence[BALANCED, LONG_TAILED]
    if _headline(cells):
        columns = {"teacher_effect": teacher_effect, **columns}
    names = np.array(GROUPS)[group]
    return per_class_table(distilled_set.class_names, distilled_set.per_class, original_count=counts, group=names, **columns)


def _headline(cells: Cells) -> str | None:
    both = {(BALANCED, LONG_TAILED), (LONG_TAILED, LONG_TAILED)}
    return "teacher_effect" if both <= set(cells.masses) else None


def _missing(cells: Cells) -> tuple[str, ...]:
    return tuple(f"Missing: {cell_name(place)}. To have it, {how}." for place, how in cells.missing.items())


def _caveats(distilled_set: DistilledSet, cells: Cells) -> tuple[str, ...]:
    compared, caveats = cells.compared, []
    left_out = int((~compared.compared).sum())
    if left_out:
        caveats.append(f"{left_out} of {len(compared.group)} classes lack samples in a set and are left out of the figures.")
    if not compared.divided:
        caveats.append("Among the classes compared there is no head or no tail, so only the spread can be compared.")
    return (*caveats, *few_samples_caveat(distilled_set.per_class))
