"""The soft label edited by hand: what people do to the bars is what the log holds, to the last class."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect
from scipy.special import softmax

from analysis import label_edits
from tests.browser.axe import violations
from tests.browser.conftest import REPOSITORY, Server
from tests.browser.steps import app, go_to, log_of, open_path, tiles
from tests.data.sets import N, make

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MASS_JS = (REPOSITORY / "app" / "components" / "label_editor" / "mass.js").read_text(encoding="utf-8")
ROUNDED = 1e-6  # what the editor is told is rounded to seven digits
SAMPLE = 1


# The same arithmetic in the browser and on the server


def in_browser(page: Page, expression: str, cases: list) -> list:
    """``expression`` of ``c``, one of ``cases``, worked out by mass.js."""
    return page.evaluate(f"(cases) => {{ {MASS_JS}; return cases.map((c) => {expression}); }}", cases)


def distributions(count: int, seed: int) -> np.ndarray:
    """(count, 7), some with classes that have nothing; the last one, the rest, has none, so that all classes are listed."""
    made = np.random.default_rng(seed).dirichlet(np.full(7, 0.4), count)
    made[np.random.default_rng(seed + 1).random(made.shape) < 0.2] = 0
    made[:, 0] += 1e-3
    made[:, -1] = 0
    return made / made.sum(axis=1, keepdims=True)


def test_mass__sharpens_mixes_and_moves_as_the_server_does(page: Page):
    p, q = distributions(50, 1), distributions(50, 2)
    chance = np.random.default_rng(3)
    numbers = [[float(10 ** chance.uniform(-1, 1)), float(chance.random()), *map(int, chance.integers(0, 6, 2))] for _ in p]
    cases = [[a.tolist(), b.tolist(), *rest] for a, b, rest in zip(p, q, numbers, strict=True)]
    for made, a, (heat, *_) in zip(in_browser(page, "mass.sharpen(c[0], c[2])", cases), p, numbers, strict=True):
        assert made == pytest.approx(label_edits.sharpened(a, heat), abs=1e-12)
    for made, a, b, (_, weight, *_) in zip(
        in_browser(page, "mass.mix(c[0], c[1], c[3])", cases), p, q, numbers, strict=True
    ):
        assert made == pytest.approx(label_edits.mixed(a, b, weight), abs=1e-12)
    for made, a, (_, amount, i, j) in zip(
        in_browser(page, "mass.move(c[0], c[4], c[5], c[3])", cases), p, numbers, strict=True
    ):
        assert made == pytest.approx(label_edits.moved(a, i, j, amount), abs=1e-12)
    for made, a in zip(in_browser(page, "mass.renormalise(c[0].map((x) => 3 * x))", cases), p, strict=True):
        assert made == pytest.approx(label_edits.normalised(3 * a), abs=1e-12)


def test_mass__setting_one_class_is_the_server_s_edit_of_one_class(page: Page):
    p, chance = distributions(50, 5), np.random.default_rng(6)
    cases = [[a.tolist(), int(chance.integers(0, 6)), float(chance.random())] for a in p]
    for made, a, (_, i, value) in zip(
        in_browser(page, "mass.set(c[0], [c[1]], c[2], new Set([6]))", cases), p, cases, strict=True
    ):
        others = np.delete(a, i)
        expected = label_edits.apply_edit(a, [i], [value]) if others.sum() > 0 else None
        if expected is None:  # spread evenly over the five that had nothing
            expected = np.full(7, (1 - value) / 5)
            expected[[i, 6]] = value, 0
        assert made == pytest.approx(expected, abs=1e-12)


def test_mass__held_classes_stay_and_the_sum_is_one(page: Page):
    p = distributions(50, 8)
    cases = [[a.tolist(), 0.7] for a in p]
    for made, a in zip(in_browser(page, "mass.set(c[0], [2], c[1], new Set([0, 6]))", cases), p, strict=True):
        assert made[0] == a[0] and sum(made) == pytest.approx(1)
        assert made[2] == pytest.approx(min(0.7, 1 - a[0]))
        assert min(made) >= 0


def test_mass__held_classes_stay_whatever_is_done_to_all(page: Page):
    p = distributions(50, 9)
    cases = [[a.tolist(), 2.0] for a in p]
    sharpened = in_browser(page, "mass.hold(mass.sharpen(c[0], c[1]), c[0], new Set([0, 6]))", cases)
    for made, a in zip(sharpened, p, strict=True):
        assert made[0] == a[0] and sum(made) == pytest.approx(1)
        others = label_edits.sharpened(a, 2.0)[1:6]
        if others.sum() > 0:
            assert made[1:6] == pytest.approx(others / others.sum() * (1 - a[0]), abs=1e-12)


def test_mass__entropy_and_distance_with_a_rest(page: Page):
    """The rest counts with its own shape: nothing differs from all its classes being listed."""
    p, q = (np.random.default_rng(s).dirichlet(np.ones(30)) for s in (1, 2))
    folded = [*p[:9].tolist(), float(p[9:].sum())]
    shape = float(label_edits.entropy(p[9:] / p[9:].sum()))
    [entropy] = in_browser(page, "mass.entropy(c[0], c[1])", [[folded, shape]])
    assert entropy == pytest.approx(float(label_edits.entropy(p)), abs=1e-12)
    [distance] = in_browser(page, "mass.distance(c[0], c[1])", [[p.tolist(), q.tolist()]])
    assert distance == pytest.approx(float(label_edits.total_variation(p, q)), abs=1e-12)


# The editor


def original_of(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(given, resnet-18) of the sample on component_pages/label_page.py."""
    values = np.random.default_rng(3).normal(size=(2, 4, classes)).astype(np.float32).astype(np.float64) * 2
    given, teacher = softmax(values, axis=2)[:, SAMPLE]
    return given, teacher


def open_editor(page: Page, server: Server, query: str = "classes=10") -> None:
    page.goto(f"{server.address}/label_page?run={uuid.uuid4().hex}&sample={SAMPLE}&{query}")
    page.get_by_role("button", name="Edit the soft label").click()
    expect(page.get_by_role("group", name="Edit the soft label")).to_be_visible()


def bar(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=name, exact=True)


def text_of(page: Page, name: str) -> str:
    return bar(page, name).get_attribute("aria-valuetext")


def saved(page: Page, count: int = 1) -> np.ndarray:
    """The soft label of the log's last entry."""
    expect(page.locator("code")).to_have_text(f"saved={count} sum=1.000000")
    entry = page.locator(".st-key-label-log")
    expect(entry).to_have_text(re.compile(rf"^{count}: "))  # comes after the count above it
    return np.array(entry.inner_text().split()[1:], float)


def set_to(p: np.ndarray, place: int, value: float) -> np.ndarray:
    """One class set, the others in proportion: the oracle of a dragged bar."""
    others = np.where(np.arange(len(p)) == place, 0, p)
    made = others / others.sum() * (1 - value)
    made[place] = value
    return made


def test_drag__the_others_make_room_and_the_log_has_it(page: Page, component_server: Server):
    open_editor(page, component_server)
    given, _ = original_of(10)
    box = bar(page, "frog").bounding_box()
    page.mouse.move(box["x"] + 3, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 5, steps=5)
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 40, steps=5)  # beside the bar, still held
    page.mouse.up()
    value = float(bar(page, "frog").get_attribute("aria-valuenow")) / 100
    assert value == pytest.approx(0.5, abs=0.01)
    expect(page.get_by_text("sum 1.000")).to_be_visible()
    page.get_by_role("button", name="Enter Save").click()
    assert saved(page) == pytest.approx(set_to(given, 6, value), abs=ROUNDED)


def test_drag__by_touch(new_page: Callable[..., Page], component_server: Server):
    page = new_page(has_touch=True)
    open_editor(page, component_server)
    box = bar(page, "frog").bounding_box()
    page.touchscreen.tap(box["x"] + 0.6 * box["width"], box["y"] + 8)
    expect(bar(page, "frog")).to_have_attribute("aria-valuetext", re.compile(r"^(59|60)\.\d %, originally"))
    page.get_by_role("button", name="Enter Save").tap()
    assert saved(page)[6] == pytest.approx(0.6, abs=0.01)


def test_keys__a_whole_edit_without_a_mouse(page: Page, component_server: Server):
    """Steps of one and five per cent, a typed number, a held class, a class taken out, one step back; then saved."""
    open_editor(page, component_server)
    p, _ = original_of(10)
    expect(bar(page, "ship")).to_be_focused()
    for key in ("ArrowRight", "Shift+ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    p = set_to(p, 8, p[8] + 0.05)
    expect(bar(page, "ship")).to_have_attribute("aria-valuenow", f"{100 * p[8]:.1f}")
    page.keyboard.press("l")  # held from here on
    page.keyboard.press("Tab")
    expect(bar(page, "frog")).to_be_focused()
    page.keyboard.type(".3")
    page.keyboard.press("Enter")
    expect(bar(page, "frog")).to_have_attribute("aria-valuenow", "30")
    others = set_to(np.delete(p, 8) / (1 - p[8]), 6, 0.3 / (1 - p[8]))
    p = np.insert(others * (1 - p[8]), 8, p[8])
    page.keyboard.press("Tab")
    third = page.locator(".bar:focus").get_attribute("aria-label")
    assert third not in ("ship", "frog")
    page.keyboard.press("Delete")
    expect(bar(page, third)).to_have_count(0)
    page.keyboard.press("z")
    expect(bar(page, third)).to_have_count(1)
    page.keyboard.press("Enter")
    assert saved(page) == pytest.approx(p, abs=ROUNDED)


def test_search__a_class_among_a_thousand_gets_its_share(page: Page, component_server: Server):
    """Of a thousand, 48 of each source are listed. What the new one had before stays with those that are not, whose
    proportions the server keeps."""
    open_editor(page, component_server, "classes=1000&most=48")
    given, teacher = original_of(1000)
    place = int(np.argsort(given)[500])
    page.keyboard.press("a")
    expect(page.get_by_role("combobox", name="Add a class")).to_be_focused()
    page.keyboard.type(str(place))
    page.keyboard.press("Enter")
    added = page.locator(".bar:focus")
    expect(added).to_have_attribute("aria-valuenow", "0")
    page.keyboard.type("25%")
    page.keyboard.press("Enter")
    expect(page.get_by_text("sum 1.000")).to_be_visible()
    page.keyboard.press("Enter")
    listed = np.union1d(np.argsort(given)[-48:], np.argsort(teacher)[-48:])
    tail = np.setdiff1d(np.arange(1000), [*listed, place])
    expected = 0.75 * given
    expected[tail] *= (expected[tail].sum() + expected[place]) / expected[tail].sum()
    expected[place] = 0.25
    assert saved(page) == pytest.approx(expected, abs=ROUNDED)


def test_search__exact_where_all_thousand_are_listed(page: Page, component_server: Server):
    open_editor(page, component_server, "classes=1000")
    given, _ = original_of(1000)
    page.keyboard.press("/")
    page.keyboard.type("horse 497")
    page.keyboard.press("Enter")
    page.keyboard.type("25")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert saved(page) == pytest.approx(set_to(given, 497, 0.25), abs=ROUNDED)


def slide(page: Page, name: str, value: int) -> None:
    page.get_by_role("slider", name=name).fill(str(value))


def test_tools__move_mix_and_temper(page: Page, component_server: Server):
    open_editor(page, component_server)
    p, teacher = original_of(10)
    page.get_by_label("Move from", exact=True).select_option(label="frog")
    page.get_by_label("Move to", exact=True).select_option(label="ship")
    slide(page, "How much to move", 50)
    p[8], p[6] = p[8] + p[6] / 2, p[6] / 2
    page.get_by_label("What to mix in").select_option(label="resnet-18")
    slide(page, "Weight of what is mixed in", 40)
    p = 0.6 * p + 0.4 * teacher
    slide(page, "Temperature", -30)
    p = p ** (10**0.3) / (p ** (10**0.3)).sum()
    entropy = -(p * np.log(p)).sum()
    expect(page.get_by_text(f"→ {entropy:.2f} nats")).to_be_visible()
    expect(page.get_by_text(f"changed by {np.abs(p - original_of(10)[0]).sum() / 2:.3f}")).to_be_visible()
    page.get_by_role("button", name="Enter Save").click()
    assert saved(page) == pytest.approx(p, abs=ROUNDED)


def test_source__taken_as_it_is_also_in_its_tail(page: Page, component_server: Server):
    open_editor(page, component_server, "classes=1000&most=48")
    page.get_by_label("What to mix in").select_option(label="resnet-18")
    slide(page, "Weight of what is mixed in", 100)
    page.get_by_role("button", name="Enter Save").click()
    assert saved(page) == pytest.approx(original_of(1000)[1], abs=ROUNDED)


def test_numbers__set_freely_and_renormalised(page: Page, component_server: Server):
    open_editor(page, component_server)
    p, _ = original_of(10)
    page.get_by_label("the other classes make room").uncheck()
    for name, value in (("ship", "0.9"), ("frog", "0.6")):
        field = page.get_by_label(f"{name}, a number from 0 to 1")
        field.fill(value)
        field.press("Enter")
    p[8], p[6] = 0.9, 0.6
    expect(page.get_by_text(f"sum {p.sum():.3f}")).to_be_visible()
    expect(page.get_by_role("button", name="Enter Save")).to_be_disabled()
    page.get_by_role("button", name="N Renormalise").click()
    page.get_by_role("button", name="Enter Save").click()
    assert saved(page) == pytest.approx(p / p.sum(), abs=ROUNDED)


def test_steps__undone_to_the_beginning_and_nothing_is_saved(page: Page, component_server: Server):
    open_editor(page, component_server)
    before = text_of(page, "ship")
    slide(page, "Temperature", 40)
    page.get_by_role("button", name="O Original").click()
    bar(page, "ship").press("ArrowLeft")
    bar(page, "frog").press("ArrowLeft")
    assert text_of(page, "ship") != before
    for _ in range(4):
        page.get_by_role("button", name="Z Undo step").click()
    expect(page.get_by_role("button", name="Z Undo step")).to_be_disabled()
    expect(bar(page, "ship")).to_have_attribute("aria-valuetext", before)
    expect(page.get_by_role("button", name="Enter Save")).to_be_disabled()
    bar(page, "ship").press("Escape")
    expect(page.get_by_role("button", name="Edit the soft label")).to_be_focused()
    expect(page.locator("code")).to_have_text("saved=0")


def test_saved_label__is_edited_further_beside_the_original(page: Page, component_server: Server):
    open_editor(page, component_server)
    given, _ = original_of(10)
    page.keyboard.press("End")  # all of it
    page.keyboard.press("Enter")
    assert saved(page).tolist() == np.eye(10)[8].tolist()
    page.get_by_role("button", name="Edit the soft label").click()
    expect(bar(page, "ship")).to_have_attribute("aria-valuetext", f"100.0 %, originally {100 * given[8]:.1f} %")
    page.keyboard.press("o")
    page.keyboard.press("Enter")
    assert saved(page, 2) == pytest.approx(given, abs=ROUNDED)


AT_ONCE = """(panel, keys) => {
  const press = (key) => panel.querySelector('.bar:focus').dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
  keys.forEach((key) => (key === 'open' ? panel.querySelector('button').click() : press(key)));
}"""


def test_saved_label__is_what_an_editor_opened_before_the_answer_begins_with(page: Page, component_server: Server):
    open_editor(page, component_server)
    page.locator(".label-panel").evaluate(AT_ONCE, ["End", "Enter", "open"])
    expect(bar(page, "ship")).to_have_attribute("aria-valuetext", re.compile("^100.0 %, originally"))
    expect(bar(page, "ship")).to_be_focused()


def test_saved_label__leaves_alone_what_was_begun_before_the_answer(page: Page, component_server: Server):
    open_editor(page, component_server)
    page.locator(".label-panel").evaluate(AT_ONCE, ["End", "Enter", "open", "Home"])
    saved(page)
    expect(page.locator(".label-panel .saved")).to_have_text("saved")  # the answer is here; the editor is in its place
    expect(bar(page, "ship")).to_have_attribute("aria-valuenow", "0")


def test_hard_label__is_smoothed_over_the_other_classes(page: Page, component_server: Server):
    open_editor(page, component_server, "classes=10&hard=1")
    expect(bar(page, "automobile")).to_be_focused()
    page.keyboard.type(".9")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expected = np.full(10, 0.1 / 9)
    expected[1] = 0.9
    assert saved(page) == pytest.approx(expected, abs=ROUNDED)


def test_editor__no_serious_fault_for_those_who_cannot_see_or_point(page: Page, component_server: Server):
    for query in ("classes=10", "classes=10&narrow=1"):
        open_editor(page, component_server, query)
        page.keyboard.press("l")
        page.keyboard.press("a")
        page.keyboard.type("c")
        expect(page.get_by_role("option").first).to_be_visible()
        assert [str(found) for found in violations(page) if found.grave] == []


def test_editor__other_keys_are_nobody_else_s(page: Page, component_server: Server):
    """R would run the page again and C clear Streamlit's caches; here they mean nothing."""
    open_editor(page, component_server)
    bar(page, "ship").press("ArrowRight")
    text = text_of(page, "ship")
    for key in ("r", "c", "k", "p"):
        page.keyboard.press(key)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(bar(page, "ship")).to_have_attribute("aria-valuetext", text)
    expect(bar(page, "ship")).to_be_focused()


def test_held__class_keeps_its_share_when_all_are_softened(page: Page, component_server: Server):
    open_editor(page, component_server)
    p, _ = original_of(10)
    page.keyboard.press("l")
    slide(page, "Temperature", 30)
    bar(page, "frog").focus()
    page.keyboard.press("Enter")
    soft = np.delete(p, 8) ** (10**-0.3)
    assert saved(page) == pytest.approx(np.insert(soft / soft.sum() * (1 - p[8]), 8, p[8]), abs=ROUNDED)


# On Browse


def browse(page: Page, server: Server, path: Path) -> None:
    page.goto(server.address)
    open_path(page, path)
    expect(page.get_by_role("heading", name="What next")).to_be_visible()
    go_to(page, "Browse")
    expect(tiles(page)).to_have_count(N)


def test_browse__one_label_edited_and_taken_back(page: Page, tmp_path: Path):
    made = make("datm", tmp_path / "set")
    with app(tmp_path) as server:
        browse(page, server, made.path)
        tiles(page).nth(4).click()
        page.get_by_role("button", name="Edit the soft label").click()
        page.get_by_role("slider", name="class 3", exact=True).press("Home")
        page.keyboard.type(".4")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        expect(page.get_by_text("History (1)")).to_be_visible()
        expect(tiles(page).nth(4)).to_have_accessible_name(re.compile("softened"))
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_text("History (2)")).to_be_visible()
        expect(tiles(page).nth(4)).not_to_have_accessible_name(re.compile("softened"))
    soften, undo = log_of(tmp_path)
    assert (soften.sample_id, soften.action, undo.action, undo.undoes) == (4, "soften", "undo", soften.id)
    assert 0 < soften.seconds < 300
    given = softmax(made.soft[4].double().numpy())
    assert soften.soft_label == pytest.approx(set_to(given, 3, 0.4), abs=ROUNDED)


def test_browse__a_selection_softened_and_taken_back_as_one(page: Page, tmp_path: Path):
    made = make("datm", tmp_path / "set")
    before, after = softmax(made.soft[:6].double().numpy(), axis=1), softmax(made.soft[:6].double().numpy() / 2, axis=1)
    with app(tmp_path) as server:
        browse(page, server, made.path)
        tiles(page).nth(0).click()
        tiles(page).nth(5).click(modifiers=["Shift"])
        expect(page.get_by_text("6 selected")).to_be_visible()
        page.get_by_role("button", name="Soften …").click()
        means = (label_edits.entropy(p).mean() for p in (before, after))
        expect(page.get_by_text("Mean entropy {:.3f} → {:.3f} nats".format(*means))).to_be_visible()
        expect(page.get_by_text("0 of 6 get another most probable class")).to_be_visible()
        page.get_by_role("button", name="Soften 6 of 6").click()
        expect(page.get_by_text("6 × soften, saved.")).to_be_visible()
        expect(page.locator('[role="option"][aria-label*="softened"]')).to_have_count(6)
        page.get_by_role("button", name="Undo").click()
        expect(page.locator('[role="option"][aria-label*="softened"]')).to_have_count(0)
    log = log_of(tmp_path)
    assert [(d.sample_id, d.action) for d in log] == [(i, a) for a in ("soften", "undo") for i in range(6)]
    assert np.array([d.soft_label for d in log[:6]]) == pytest.approx(after, abs=ROUNDED)


def test_browse__hard_labels_say_what_an_export_takes(page: Page, tmp_path: Path):
    made = make("dc", tmp_path / "set")
    with app(tmp_path) as server:
        browse(page, server, made.path)
        tiles(page).nth(4).click()
        page.get_by_role("button", name="Edit the soft label").click()
        expect(page.get_by_text("has to be taken back before the set is exported")).to_be_visible()
        page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("Enter")
        expect(page.get_by_text("History (1)")).to_be_visible()
        go_to(page, "Export")
        expect(page.get_by_role("alert").filter(has_text="hard labels only, so sample 4 cannot be softened")).to_be_visible()
    [soften] = log_of(tmp_path)
    expected = np.full(len(soften.soft_label), 0.05 / (len(soften.soft_label) - 1))
    expected[made.labels[4]] = 0.95
    assert soften.soft_label == pytest.approx(expected, abs=ROUNDED)
