"""What multi-stage self-distillation says of itself: figures, a table of its stages, and caveats."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.findings import SHARE, Figure
from analysis.intervals import LEVEL, share_figure, wilson
from analysis.probes.label_evidence import MADE_TOGETHER
from analysis.self_distilling.chain import Pupils
from analysis.self_distilling.stages import Distilled, Stage, agreeing, differing

NORMAL = 1.959964
FEWEST_THAT_DIFFER = 5
"""Below so many images on which two stages disagree, their difference has no normal interval to speak of."""


def stage_table(stages: tuple[Stage, ...], pupils: Pupils) -> pd.DataFrame:
    """A row a stage: its agreement with the given labels and Wilson's interval, the share of images whose class is not that
    of the stage before, the log-loss of the given labels and the temperature that makes it least."""
    agreed = np.array([int(agreeing(stage, pupils).sum()) for stage in stages])
    n = sum(len(held) for held in pupils.classes)
    low, high = wilson(agreed, np.full(len(stages), n))
    changed = [float(differing(one, two).double().mean()) for one, two in zip(stages[1:], stages[:-1], strict=True)]
    return pd.DataFrame(
        {
            "stage": [stage.number for stage in stages],
            "agreement": agreed / n,
            "agreement_low": low,
            "agreement_high": high,
            "changed_since_last": [np.nan, *changed],
            "log_loss": [stage.log_loss for stage in stages],
            "temperature": [stage.temperature for stage in stages],
        }
    )


def figures(done: Distilled, pupils: Pupils, crossed: bool, changed: int, n: int) -> tuple[Figure, ...]:
    kept, judged = done.stages[done.kept], sum(len(held) for held in pupils.classes)
    whose = "models that never met the labels they are held against" if crossed else "models that learnt these very labels"
    agreed = int(agreeing(kept, pupils).sum())
    return (
        share_figure("Labels changed", changed, n, "images whose most probable class is not the given one any more"),
        Figure("Stages done", float(done.stages[-1].number), f"after the first fit; stopped because {done.reason}", judged),
        Figure("Stage kept", float(done.kept), "0 is the first fit alone, without self-distillation", judged),
        share_figure("Agreement with the given labels", agreed, judged, f"of the stage kept, by {whose}"),
        _gain(done, pupils, whose),
    )


def caveats(done: Distilled, pupils: Pupils, crossed: bool, left_out: int) -> tuple[str, ...]:
    """Sentences on how far to believe it."""
    kept = done.stages[done.kept]
    said = [MADE_TOGETHER] if crossed else [_REPEATING]
    if left_out:
        said.append(
            f"{left_out:,} images are the only ones of their class: no other image speaks for it, so they keep their labels."
        )
    if crossed and done.kept == 0:
        said.append(
            "No stage of self-distillation is believed: the labels are those of the first, cross-fitted classifier, which "
            "no later stage surpassed."
        )
    gain = _gain(done, pupils, "")
    if crossed and done.kept and gain.low is not None and gain.low <= 0:
        said.append("What the stages add to the agreement of the first fit cannot be told from chance.")
    said += _uninformed(kept, pupils)
    return tuple(said)


_REPEATING = (
    "Without cross-fitting every image is judged by models that have learnt its own label: agreement then says how much "
    "they know by heart, and a wrong label is likely to be repeated."
)


def _gain(done: Distilled, pupils: Pupils, whose: str) -> Figure:
    """The kept stage's agreement less the first one's, on the same images: the interval is that of paired differences."""
    first, kept = (agreeing(done.stages[number], pupils).numpy().astype(float) for number in (0, done.kept))
    difference, n = kept - first, len(first)
    label, gain = "Gain in agreement by stages", float(difference.mean())
    basis = f"over the first fit on the same images, by {whose}; the best of the stages was taken, so a little flattering"
    if done.kept == 0:
        return Figure(label, None, "the first fit was kept, so there is nothing to compare", n, SHARE)
    if np.count_nonzero(difference) < FEWEST_THAT_DIFFER:
        return Figure(label, gain, f"{basis}; too few images differ for an interval", n, SHARE)
    half = NORMAL * difference.std(ddof=1) / np.sqrt(n)
    return Figure(label, gain, basis, n, SHARE, gain - float(half), gain + float(half), LEVEL)


def _uninformed(kept: Stage, pupils: Pupils) -> list[str]:
    sizes = pupils.sizes.sum(dim=0)
    n, largest = int(sizes.sum()), float(sizes.max() / sizes.sum())
    low, _ = wilson(int(agreeing(kept, pupils).sum()), n)
    if low > largest:
        return []
    return [
        "The classifier agrees with no more of the labels than naming the commonest class always would: its labels are "
        "not worth having; choose another embedding, or a teacher."
    ]
