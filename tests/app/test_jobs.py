"""What a page shows of a run under way."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from analysis.engine import JobStatus
from tests.app.workspaces import opened

CURVE = pd.DataFrame({"step": [10, 20], "accuracy": [0.1, 0.5], "group": "soft labels"})
TWO_CURVES = pd.concat([CURVE, CURVE.assign(group="hard labels")], ignore_index=True)


def page() -> None:
    from app.jobs import run_progress
    from app.services import services

    run_progress(services().active()[0][0].id)


@pytest.fixture
def services(tmp_path):
    with opened(tmp_path) as (running, set_id):
        running.start(set_id, "soft_labels")
        yield running


def show(services, monkeypatch, drafts: dict[str, pd.DataFrame]):
    under_way = JobStatus("", "running", 0.4, "students learn", drafts=drafts)
    monkeypatch.setattr(services.engine, "status", lambda run_id: replace(under_way, run_id=run_id))
    shown = AppTest.from_function(page).run()
    assert not shown.exception
    return shown


def charts(shown) -> list:
    return [element.proto for element in shown.get("vega_lite_chart")]


def test_run_progress__draws_nothing_before_there_is_something(services, monkeypatch):
    for drafts in ({}, {"learning curve": CURVE[:0]}):
        shown = show(services, monkeypatch, drafts)
        assert not charts(shown) and not shown.caption


def test_run_progress__a_draft_has_a_title_a_legend_and_its_lines(services, monkeypatch):
    shown = show(services, monkeypatch, {"learning curve": TWO_CURVES})
    (chart,) = charts(shown)
    encoding = json.loads(chart.spec)["encoding"]
    assert shown.caption[0].value == "Learning curve, until now"
    assert (encoding["x"]["field"], encoding["y"]["field"], encoding["color"]["field"]) == ("step", "accuracy", "group")
    assert encoding["color"]["legend"]["orient"] == "bottom"


def test_run_progress__what_grows_stays_the_same_element(services, monkeypatch):
    """Streamlit draws an element of another identity or specification anew, which blinks; new data are drawn into it."""
    (before,), (after,) = (charts(show(services, monkeypatch, {"learning curve": table})) for table in (CURVE, TWO_CURVES))
    assert (before.id, before.spec) == (after.id, after.spec)
    assert before.data.data != after.data.data


def test_run_progress__can_be_cancelled_on_its_page(services, monkeypatch):
    (run,) = (run for run, _ in services.active())
    shown = show(services, monkeypatch, {})
    assert shown.main.get("progress")[0].proto.text == "Students learn · estimating the time left"
    shown.main.button(key=f"stop {run.id}").click().run()
    assert run.id in services.engine._ended
