"""How samples stood before and after each entry, against data.decisions.states of the log up to there."""

from __future__ import annotations

from hypothesis import given

from data.audit import Effect, Standing, Step, effects
from data.decisions import Decision, states
from tests.data.audit_logs import stored_logs


def standing(log: list[Decision], sample: int) -> tuple:
    state = states(log).get(sample)
    return (None, None, False, "") if state is None else (state.label, state.soft_label, state.pruned, state.settled_by)


def in_labels(log: list[Decision], held: Standing) -> tuple:
    entry = next((entry for entry in log if entry.id == held.settled), None)
    return (None, None, held.pruned, "") if entry is None else (entry.label, entry.soft_label, held.pruned, entry.annotator)


@given(stored_logs())
def test_effects__are_the_states_before_and_after(log):
    steps = [Step(entry.id, entry.sample_id, entry.action, entry.undoes) for entry in log]
    found = effects(steps, [entry.id for entry in log])
    for place, entry in enumerate(log):
        effect = found[entry.id]
        assert in_labels(log, effect.before) == standing(log[:place], entry.sample_id)
        assert in_labels(log, effect.after) == standing(log[: place + 1], entry.sample_id)


def test_effects__of_the_wanted_alone():
    steps = [Step(1, 0, "relabel"), Step(2, 0, "prune"), Step(3, 0, "undo", 1)]
    assert effects(steps, [3]) == {3: Effect(Standing(1, True), Standing(None, True))}
