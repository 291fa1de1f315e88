"""How good each annotator is: against the others, against known labels, and as the methods of consensus see it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from analysis.consensus.votes import UNDECIDED, Gold, Votes
from analysis.intervals import share, wilson

VALUES_A_CHUNK = 1 << 22


def annotator_table(votes: Votes, gold: Gold, skilled: sparse.csr_array | None, quality: np.ndarray | None) -> pd.DataFrame:
    """One row an annotator, in the order of their names.

    ``agreement_with_others``: with the majority of the others' answers (``compared`` samples where these have one), Wilson
    interval. ``dawid_skene_accuracy``: the diagonal of the annotator's confusion matrix, weighed by how often they met each
    class, from that method's distributions ``skilled`` (n, C); its Wilson interval takes those for certain
    (it held the true accuracy in 89 to 93 of 100 simulations with 3 or 5 answers a sample, in 76 with 2).
    ``crowdlab_quality``: ``quality`` float (M,) as cleanlab has it; no interval is known. ``gold_accuracy``: on ``gold_n``
    samples whose label is known, Wilson interval. ``seconds``: the median time for an answer.
    """
    groups = len(votes.annotators)
    agreed, compared = _with_others(votes)
    right, of_gold = _on_gold(votes, gold)
    columns = {
        "annotator": list(votes.annotators),
        "n": np.bincount(votes.annotator, minlength=groups),
        **_rate("agreement_with_others", agreed, compared),
        "compared": compared,
    }
    if skilled is not None:
        named = np.bincount(votes.annotator[votes.hard], minlength=groups)
        columns |= _rate("dawid_skene_accuracy", _believed(votes, skilled), named)
    if quality is not None:
        columns["crowdlab_quality"] = quality
    if len(gold):
        columns |= {**_rate("gold_accuracy", right, of_gold), "gold_n": of_gold}
    columns["seconds"] = [_median(votes.seconds[votes.annotator == place]) for place in range(groups)]
    return pd.DataFrame(columns)


def _rate(name: str, hits: np.ndarray, n: np.ndarray) -> dict[str, np.ndarray]:
    low, high = wilson(hits, n)
    return {name: share(hits, n), f"{name}_low": low, f"{name}_high": high}


def _with_others(votes: Votes) -> tuple[np.ndarray, np.ndarray]:
    """How often each annotator names what most others name, and how often these have a majority; (M,) each."""
    agreed, compared = (np.zeros(len(votes.annotators)) for _ in range(2))
    step = max(1, VALUES_A_CHUNK // max(votes.num_classes, 1))
    for start in range(0, len(votes.hard), step):
        mine = votes.hard[start : start + step]
        others = votes.counts[votes.sample[mine]].toarray()
        others[np.arange(len(mine)), votes.label[mine]] -= 1
        most = others.max(axis=1)
        alone = (most > 0) & ((others == most[:, None]).sum(axis=1) == 1)
        same = alone & (others.argmax(axis=1) == votes.label[mine])
        agreed += np.bincount(votes.annotator[mine], same, len(agreed))
        compared += np.bincount(votes.annotator[mine], alone, len(compared))
    return agreed, compared.astype(np.int64)


def _believed(votes: Votes, skilled: sparse.csr_array) -> np.ndarray:
    """How many of each annotator's answers are right, as ``skilled`` (n, C) has it; (M,).

    After the last step of EM this is the diagonal of the confusion matrix, each class weighed by how often it was met.
    """
    hard = votes.hard
    p = np.asarray(skilled[votes.sample[hard], votes.label[hard]]).ravel()
    return np.bincount(votes.annotator[hard], p, len(votes.annotators))


def _on_gold(votes: Votes, gold: Gold) -> tuple[np.ndarray, np.ndarray]:
    """How often each annotator is right where the label is known, of how many; (M,) each."""
    hard = votes.hard
    truth = gold.of(votes.samples)[votes.sample[hard]]
    known = truth != UNDECIDED
    who = votes.annotator[hard]
    right = np.bincount(who, known & (truth == votes.label[hard]), len(votes.annotators))
    return right, np.bincount(who, known, len(votes.annotators)).astype(np.int64)


def _median(seconds: np.ndarray) -> float:
    known = seconds[~np.isnan(seconds)]
    return float(np.median(known)) if len(known) else np.nan
