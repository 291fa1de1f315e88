"""Which analysis stands where in the menu, and which start by themselves."""

from __future__ import annotations

from dataclasses import replace

from analysis.registry import analyses
from app.analysis_order import (
    CURATE,
    DIAGNOSE,
    FIRST,
    MENU,
    MOST_FOR_ALL,
    PART,
    STUDENTS,
    menu_order,
    part_of,
    start_order,
    why_not_yet,
)


def names(entries) -> list[str]:
    return [entry.name for entry in entries]


def test_menu_order__every_analysis_once_and_label_errors_first():
    shown = names(menu_order(analyses().values()))
    assert sorted(shown) == sorted(analyses()) and shown[0] == "label_errors"
    assert set(MENU) <= set(analyses()) and set(FIRST) <= set(MENU), "no name that was changed is left behind"


def test_menu_order__a_new_analysis_comes_after_those_that_are_known():
    new = replace(analyses()["map"], name="zz_new")
    assert names(menu_order([new, *analyses().values()]))[-1] == "zz_new"


def test_start_order__all_of_a_small_set_and_what_most_people_ask_first():
    started = names(start_order(analyses().values(), MOST_FOR_ALL))
    asked_for = {name for name, entry in analyses().items() if entry.takes_minutes}
    assert set(started) == set(analyses()) - asked_for and tuple(started[: len(FIRST)]) == FIRST


def test_start_order__what_takes_minutes_waits_until_asked():
    slow = replace(analyses()["map"], name="slow", takes_minutes=True)
    assert "slow" not in names(start_order([slow, *analyses().values()], 10))


def test_start_order__a_large_set_is_asked_only_what_most_people_ask():
    assert tuple(names(start_order(analyses().values(), MOST_FOR_ALL + 1))) == FIRST


def test_start_order__what_embeds_never_holds_back_what_reads_labels_alone():
    embeds = [any(p.name == "embedding" for p in analyses()[name].parameters) for name in FIRST]
    first = embeds.index(True)
    assert {"soft_labels", "head_tail", "suggestions"} <= set(FIRST[:first]) and FIRST[first] == "label_errors"


def test_part_of__what_students_say_and_what_curates_stand_apart():
    assert part_of(analyses()["compression"]) == CURATE and part_of(analyses()["pareto"]) == STUDENTS
    assert part_of(replace(analyses()["map"], name="zz_new")) == DIAGNOSE
    assert set(PART) <= set(analyses()), "no name that was changed is left behind"


def test_why_not_yet__only_what_did_not_start_by_itself():
    entries = analyses()
    assert "takes minutes" in why_not_yet(entries["student_comparison"], 10)
    assert why_not_yet(entries["hardness"], MOST_FOR_ALL) == "" and why_not_yet(entries["map"], MOST_FOR_ALL + 1) == ""
    assert "large set" in why_not_yet(entries["hardness"], MOST_FOR_ALL + 1)
