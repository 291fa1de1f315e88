"""On the Decide page: how many wrong labels the decisions have found, beside random order."""

from __future__ import annotations

import numpy as np
import streamlit as st

from analysis.found_curve import FEWEST_DECIDED, AtRandom, Settled, at_random
from analysis.registry import find
from app.asking_queue import Suspicion, settled_of
from app.figures import BARE
from app.found_figure import found_figure, found_words
from app.shown_figure import show_figure
from app.words import plain


def found_panel(set_id: str, now: Suspicion, batch: int) -> None:
    """How many in a sentence, and on request as a curve: to draw it keeps a browser busy while the next keys are pressed."""
    done = settled_of(set_id)
    random, basis = random_order(done, now, batch)
    st.caption(plain(found_words(done, random, basis)))
    if len(done.ids) < FEWEST_DECIDED:
        return
    panel = st.expander(
        "Wrong labels found per decision", icon=":material/show_chart:", key=f"found curve {set_id}", on_change="rerun"
    )
    if panel.open:
        with panel:
            show_figure(found_figure(done, random), key=f"found {set_id}", config=BARE)


def random_order(done: Settled, now: Suspicion, batch: int) -> tuple[AtRandom | None, str]:
    """What the decisions would have found in random order, and what that rests on; None, and why, where nobody can say.

    How many labels are wrong altogether is not known: those found, and what the probabilities expect of the others.
    """
    if now.source is None:
        return None, "Random order is not drawn: no analysis says how many other labels are wrong."
    if not now.corrected:
        return None, (
            f"Random order is drawn from {batch} decisions on: until then nobody knows how far the probabilities of "
            f"'{find(now.source).title}' are right."
        )
    others = np.delete(now.p_wrong, done.ids)
    others = others[~np.isnan(others)]
    found, left = int(done.wrong.sum()), float(others.sum())
    samples = len(done.ids) + len(others)
    basis = (
        f"that takes {found + round(left):,} of {samples:,} labels to be wrong, the {found:,} found and about {left:,.0f} "
        f"others, an estimate from '{find(now.source).title}' and the decisions so far. The band leaves out how unsure that "
        "estimate is."
    )
    return at_random(len(done.ids), min(found + round(left), samples), samples), basis
