"""When stages stop, which is kept, and what is told on the way; held-out agreement as a measure of right answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.context import Cancelled, Context
from analysis.self_distilling.chain import Pupils, Rules
from analysis.self_distilling.report import figures, stage_table
from analysis.self_distilling.solvers import Ridge
from analysis.self_distilling.stages import Stopping, agreeing, differing, distil


def made(noise: float, flips: float = 0.0, seed: int = 0, folds: int = 4) -> tuple[Pupils, list[torch.Tensor]]:
    """Three classes of 20 images in each fold, and their true classes."""
    rng = torch.Generator().manual_seed(seed)
    truths = [torch.arange(60) % 3 for _ in range(folds)]
    inputs = [torch.eye(8)[truth] + noise * torch.randn(60, 8, generator=rng) for truth in truths]
    wrong = [torch.rand(60, generator=rng) < flips for _ in truths]
    given = [torch.where(off, (truth + 1) % 3, truth) for off, truth in zip(wrong, truths, strict=True)]
    return Pupils(inputs, given, given.__getitem__, 3), truths


def run(pupils: Pupils, stopping: Stopping, rules: Rules = Rules(), **more):
    solver = Ridge(pupils.inputs, 0.1)
    return distil((solver, solver), pupils, rules, stopping, more.pop("context", Context()), **more)


def test_distil__stops_where_classes_no_longer_change():
    pupils, _ = made(0.05)
    done = run(pupils, Stopping(9))
    assert len(done.stages) == 2 and done.kept == 0
    assert "another class than the one before" in done.reason


def test_distil__never_stops_before_the_most_stages_where_told():
    pupils, _ = made(0.05)
    done = run(pupils, Stopping(4, "never"))
    assert [stage.number for stage in done.stages] == [0, 1, 2, 3, 4] and done.kept == 4
    assert "4 stages" in done.reason


@pytest.mark.parametrize("seed", range(4))
def test_distil__keeps_the_stage_that_agrees_best_and_stops_when_one_falls(seed):
    pupils, _ = made(0.8, 0.2, seed)
    done = run(pupils, Stopping(8))
    agreed = [int(agreeing(stage, pupils).sum()) for stage in done.stages]
    assert agreed[done.kept] == max(agreed)
    assert all(later >= max(agreed[:place]) for place, later in enumerate(agreed[:-1]) if place), "it would have stopped"


def test_distil__zero_stages_is_the_first_fit():
    pupils, _ = made(0.5)
    done = run(pupils, Stopping(0))
    assert len(done.stages) == 1 and done.kept == 0


def test_distil__without_crossing_does_not_choose_by_what_is_known_by_heart():
    pupils, _ = made(0.8, 0.2)
    done = run(pupils, Stopping(3), Rules(crossed=False))
    assert done.kept == done.stages[-1].number > 0


def test_agreement__of_held_out_labels_is_an_affine_measure_of_right_answers():
    """Flips that are independent of the images turn a share a of right answers into a (1 - f) + (1 - a) q of agreement, q
    being the share of wrong answers that happen to name the flipped class."""
    pupils, truths = made(0.6, 0.3, folds=60)
    stage = run(pupils, Stopping(0)).stages[0]
    right = torch.cat([said == truth for said, truth in zip(stage.classes, truths, strict=True)]).double().mean()
    wrong_next = torch.cat([said == (truth + 1) % 3 for said, truth in zip(stage.classes, truths, strict=True)])
    expected = 0.7 * right + 0.3 * wrong_next.double().mean()
    assert float(agreeing(stage, pupils).double().mean()) == pytest.approx(float(expected), abs=0.015)


def test_stages__a_figure_for_each_is_seen_and_tabled():
    pupils, _ = made(0.8, 0.2)
    seen = []
    done = run(pupils, Stopping(3, "never"), seen=lambda stages: seen.append(len(stages)))
    assert seen == [1, 2, 3, 4]
    table = stage_table(done.stages, pupils)
    assert table["stage"].tolist() == [0, 1, 2, 3] and np.isnan(table["changed_since_last"][0])
    by_hand = np.mean(
        [
            a != b
            for one, two in zip(done.stages[1].classes, done.stages[0].classes, strict=True)
            for a, b in zip(one.tolist(), two.tolist(), strict=True)
        ]
    )
    assert table["changed_since_last"][1] == pytest.approx(by_hand)
    assert float(differing(done.stages[1], done.stages[0]).double().mean()) == pytest.approx(by_hand)
    assert (table["agreement_low"] <= table["agreement"]).all() and (table["agreement"] <= table["agreement_high"]).all()


def test_distil__stops_where_told_and_progress_never_falls():
    pupils, _ = made(0.8, 0.2)
    seen = []
    run(pupils, Stopping(3, "never"), context=Context(report=lambda fraction, message: seen.append(fraction)))
    assert (np.diff(seen) >= -1e-9).all() and seen[-1] == 1

    def stop(fraction: float, message: str) -> None:
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(pupils, Stopping(3, "never"), context=Context(report=stop))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_report__of_images_on_an_accelerator():
    pupils, _ = made(0.8, 0.2)
    there = [[tensor.cuda() for tensor in part] for part in (pupils.inputs, pupils.classes)]
    on_device = Pupils(*there, there[1].__getitem__, 3)
    done = run(on_device, Stopping(3, "never"))
    assert len(figures(done, on_device, True, 0, 240)) == 5 and len(stage_table(done.stages, on_device)) == 4
