"""The tables and matrices of head and tail: by sample, by class, by group."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.balance.calibration import group_error
from analysis.balance.masses import Balance
from analysis.class_groups import GROUPS, HEAD, TAIL
from analysis.findings import Matrix, per_class_table, per_sample_table
from analysis.intervals import ratio


def sample_table(balance: Balance) -> pd.DataFrame:
    """The score is the mass on the own class; flagged are tail samples whose most probable class is of the head."""
    masses, own_group = balance.masses, balance.group_of_sample
    to_head = (own_group == TAIL) & (balance.group[masses.top] == HEAD)
    evidence = {f"{name}_mass_elsewhere": masses.elsewhere[:, g] for g, name in enumerate(GROUPS)}
    return per_sample_table(
        masses.own.clip(0, 1),
        to_head & balance.divided,
        group=np.array(GROUPS)[own_group],
        own_mass=masses.own,
        top_label=masses.top,
        **evidence,
    )


def class_table(class_names: tuple[str, ...], balance: Balance) -> pd.DataFrame:
    """Shares are of all samples: of labels ``given``, of soft mass ``received``, and of samples whose most probable class it
    is (``top``). ``overconfidence`` is the mean highest probability of its samples minus their accuracy."""
    n, masses, samples = balance.per_class, balance.masses, len(balance.labels)
    given, received = n / samples, masses.received / samples
    top = np.bincount(masses.top, minlength=len(n)) / samples
    right = balance.right.astype(float)
    return per_class_table(
        class_names,
        n,
        original_count=balance.counts,
        group=np.array(GROUPS)[balance.group],
        given_share=given,
        received_share=received,
        received_to_given=ratio(received, given),
        top_share=top,
        top_to_received=ratio(top, received),
        confidence=balance.class_mean(masses.own),
        accuracy=balance.class_mean(right),
        overconfidence=balance.class_mean(masses.peak - right),
        **{f"to_{name}": balance.class_mean(masses.elsewhere[:, g]) for g, name in enumerate(GROUPS)},
    )


def group_table(balance: Balance, bins: int) -> pd.DataFrame:
    """The same for head, medium and tail, ``classes`` and ``samples`` saying how many; confidence and accuracy are means
    over samples. NaN where a group has no sample, and for a calibration error from too few."""
    masses, samples, own_group = balance.masses, len(balance.labels), balance.group_of_sample
    rows = []
    for g, name in enumerate(GROUPS):
        if not (balance.group == g).any():
            continue
        members = own_group == g
        n, received = int(members.sum()), float(masses.received[balance.group == g].sum())
        top = int((balance.group[masses.top] == g).sum())
        rows.append(
            {
                "group": name,
                "received_to_given": received / n if n else np.nan,
                "given_share": n / samples,
                "received_share": received / samples,
                "top_share": top / samples,
                "confidence": masses.own[members].mean() if n else np.nan,
                "accuracy": balance.right[members].mean() if n else np.nan,
                "calibration_error": group_error(balance, members, bins),
                "classes": int((balance.group == g).sum()),
                "samples": n,
            }
        )
    return pd.DataFrame(rows)


def leakage_matrices(balance: Balance, class_names: tuple[str, ...]) -> dict[str, Matrix]:
    """By group, and from each tail class to each head class where there are not too many; none without head and tail."""
    if not balance.divided:
        return {}
    found = {"leakage": _by_group(balance)}
    if balance.masses.tail_to_head is not None:
        found["tail to head"] = _by_class(balance, balance.masses.tail_to_head, class_names)
    return found


def _by_group(balance: Balance) -> Matrix:
    """Mean mass that samples of each group put on each group's classes, their own class left out; NaN without samples."""
    own_group = balance.group_of_sample
    present = [own_group == g for g in range(len(GROUPS))]
    nothing = np.full(len(GROUPS), np.nan)
    rows = [balance.masses.elsewhere[mask].mean(axis=0) if mask.any() else nothing for mask in present]
    return Matrix(
        "Mean mass outside the sample's own class", np.stack(rows), "Samples labelled", "Mass on classes", GROUPS, GROUPS
    )


def _by_class(balance: Balance, sums: np.ndarray, class_names: tuple[str, ...]) -> Matrix:
    head, tail = (np.flatnonzero(balance.group == g) for g in (HEAD, TAIL))
    names = [tuple(class_names[c] for c in classes) for classes in (tail, head)]
    means = ratio(sums, balance.per_class[tail][:, None])
    return Matrix("Mean mass of tail samples on head classes", means, "Tail samples labelled", "Mass on head class", *names)
