"""What to know before believing what is said of label errors, in sentences."""

from __future__ import annotations

from analysis.judging.judgement import LARGE, Judged
from analysis.judging.shrunk_thresholds import MOST_WEIGHT
from analysis.judging.small_classes import TOO_FEW, SmallClasses
from analysis.label_sources import class_matrix_caveat

GOOD_AGREEMENT, WEAK_AGREEMENT = 0.9, 0.5


def caveats(num_classes: int, judged: Judged) -> tuple[str, ...]:
    """The sentences for ``judged`` samples of ``num_classes`` classes."""
    agreement = judged.agreeing / len(judged.ids)
    if not judged.informed:
        chance = (
            f"The predictions agree with {agreement:.0%} of the given labels, no surer than the same predictions dealt out "
            "at random would"
        )
        if judged.speaks:
            return (f"{chance}: what was asked for by name is answered as it is, but do not believe it.",)
        return (f"{chance}, so nothing is said about any label: choose another embedding, a reference or a teacher.",)
    thresholds = _exact(num_classes, judged) if judged.small is None else _shrunk(judged, judged.small)
    return (
        *thresholds,
        *_agreement(agreement),
        *_broken_ranking(judged),
        *class_matrix_caveat(num_classes, "The confident joint"),
    )


def _exact(num_classes: int, judged: Judged) -> tuple[str, ...]:
    fewest = judged.rules.min_per_class
    small = int(((judged.per_class < fewest) & (judged.per_class > 0)).sum())
    used = "Every class's threshold is its own images' mean self-confidence, as in cleanlab."
    if not small:
        return (used,)
    few = f"{small} of {num_classes} classes have fewer than {fewest} images: their threshold is those few images' own mean"
    if not judged.rules.ordinary:
        there = int((judged.flag & (judged.per_class < fewest)[judged.labels]).sum())
        return (used, f"{few}, so the {there} flags there say little.")
    withheld = int((judged.found & ~judged.flag).sum())
    return (used, f"{few}, so no flags are given there ({withheld} withheld).")


def _shrunk(judged: Judged, small: SmallClasses) -> tuple[str, ...]:
    below = int(((judged.per_class < LARGE) & (judged.per_class > 0)).sum())
    weight = small.thresholds.pool_weight
    leaning = (
        "wholly, because differences between classes are no larger than chance makes them"
        if weight >= MOST_WEIGHT
        else f"counting it for {weight:.3g} images beside a class's own"
    )
    said = [
        f"{below} of {int((judged.per_class > 0).sum())} classes have fewer than {LARGE} images: class thresholds leave the "
        f"judged image out and lean on the pooled one ({leaning}), so answers differ from cleanlab's; "
        "thresholds 'exact' gives those."
    ]
    unsure = int((small.verdict == TOO_FEW).sum())
    if unsure:
        said.append(
            f"{unsure} suspected labels are not flagged ('{TOO_FEW}'): their interval reaches from wrong to almost "
            "certainly right."
        )
    return tuple(said)


def _agreement(agreement: float) -> tuple[str, ...]:
    if agreement == 1:
        return ("The predictions agree with every given label, so confident learning can find nothing.",)
    if agreement >= GOOD_AGREEMENT:
        return ()
    believe = "most flags will be its errors" if agreement < WEAK_AGREEMENT else "many flags will be its errors"
    return (
        f"The predictions agree with {agreement:.0%} of the given labels. Whatever made them is wrong at times too: "
        f"noise rates are too high rather than too low, and {believe}.",
    )


def _broken_ranking(judged: Judged) -> tuple[str, ...]:
    surest = (judged.learned.facts.given > 0.5) & (judged.score < 0.5)
    if judged.rules.ranking != "confidence_weighted_entropy" or not surest.any():
        return ()
    return (
        f"{int(surest.sum())} samples whose given label is almost certain have a score near 0, because this ranking "
        "(as in cleanlab) breaks down where the entropy vanishes; choose another ranking for such sets.",
    )
