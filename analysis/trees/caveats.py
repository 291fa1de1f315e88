"""What one must know before believing what is said of crops."""

from __future__ import annotations

import numpy as np

from analysis.trees.seen import Seen

FEW_CROPS = 10


def caveats(seen: Seen) -> tuple[str, ...]:
    """Sentences, the most important first."""
    said = [_evidence(seen), *map(_sentence, seen.labels.tree.warnings)]
    mixed = seen.scan.sums.own < 1
    if mixed.any():
        said.append(
            f"{mixed.mean():.0%} of the batches are mixes, whose labels are of the mixture. A crop counts by the true share "
            "of its own image, and a vote for its partner's class is not a vote for another; still, mixing lowers the "
            "probability of the folder's class and the largest probability, so compare regions on nearly unmixed crops too."
        )
    return (*said, *_about_reading(seen), *_about_numbers(seen))


def _evidence(seen: Seen) -> str:
    evidence = seen.labels.tree.evidence
    if evidence is None:
        return "Which image a row is of is taken as stored; nothing could be checked against it."
    return (
        f"Which image a row is of: {evidence.how}. {evidence.agreeing:,} of {evidence.rows:,} {evidence.what}, where luck "
        f"would give {evidence.chance:.1%}."
    )


def _about_reading(seen: Seen) -> list[str]:
    said, opened, scan = [], seen.distilled_set, seen.scan
    if seen.sampled:
        said.append(
            f"Only {len(scan.epochs)} of {scan.epochs_there} epochs were read; intervals take them as drawn at random from "
            "these and need at least three."
        )
    elif seen.options.epochs > 0 and scan.epochs_there == 1:
        said.append("This tree has no epochs to choose from; all of it was read.")
    counts = seen.sums("rows", "plain")
    if (counts == 0).any():
        said.append(f"{int((counts == 0).sum()):,} of {len(opened):,} images have no crop in what was read.")
    few = int(((counts > 0) & (counts < FEW_CROPS)).sum())
    if few:
        said.append(
            f"{few:,} of {len(opened):,} images have fewer than {FEW_CROPS} crops here: what is said of each rests on those "
            "alone, and their spread comes out too small."
        )
    return said


def _about_numbers(seen: Seen) -> list[str]:
    said, sums, tree = [], seen.scan.sums, seen.labels.tree
    if left_out := int(sums.left_out.sum()):
        where = tree.files[seen.scan.positions[int(np.flatnonzero(sums.left_out)[0])]].path
        said.append(
            f"{left_out:,} rows hold numbers too large for a distribution and were left out, the first in "
            f"{where.parent.name}/{where.name}."
        )
    unspread = int((np.isnan(seen.spread) & (seen.sums("rows") > 0)).sum())
    if unspread:
        said.append(
            f"Spread is known for {len(seen.labels) - unspread:,} evenly chosen images; mean distributions of all would not "
            "fit into memory."
        )
    if seen.options.temperature != 1:
        said.append("FerKD's thresholds are meant for temperature 1; at another, regions say little.")
    if tree.kind == "probabilities" and seen.options.temperature == 1:
        said.append("The tree stores probabilities, made at a temperature that it does not tell.")
    if tree.batch(seen.scan.positions[0]).indices is not None:
        said.append(
            "Only the largest values of each row are stored; they share all the probability, so confidence is an upper "
            "bound and entropy a lower one."
        )
    return said


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
