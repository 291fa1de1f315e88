"""Every page for those who see little, hear the page or use no mouse: axe finds nothing grave, and Tab leads everywhere.

What is left of Streamlit's own faults stands in KNOWN, each held to the place where it was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from analysis.registry import analyses
from app.roles import PAGE_TAKES
from tests.browser.axe import Known, Violation, drawn, violations
from tests.browser.full_workspace import OF_CROPS, fill
from tests.browser.keyboard import Stop, stops
from tests.browser.steps import app, go_to, made, tiles
from tests.browser.test_login import guarded, log_in

pytestmark = pytest.mark.browser
WITHOUT_LOGIN = "people"
"""In the menu only where people log in."""
PATHS = ("", "browse", *(path for path in PAGE_TAKES if path != WITHOUT_LOGIN), *sorted(analyses()))
THEMES = ("light", "dark")
SETTLED_MS = 300
PAGE_MS = 90_000
NARROW_PX = 60
KNOWN = (
    Known(
        "color-contrast",
        ':has(> * :disabled) > label [data-testid="stMarkdownContainer"] p',
        "The label of a disabled control, which WCAG 1.4.3 exempts; axe cannot tell, as Streamlit does not tie them.",
        "browse",
    ),
)


@dataclass(frozen=True)
class Shown:
    """A page of the full workspace in the browser."""

    page: Page
    path: str


@contextmanager
def looking(chromium: Browser, width: int = 1280) -> Iterator[Page]:
    """A browser whose owner wants little movement, so that no colour is caught halfway."""
    context = chromium.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(PAGE_MS)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of an app whose pages all have something to show, and its sets by the page that needs another one."""
    folder = tmp_path_factory.mktemp("full")
    demo, relabelled = fill(folder / "workspace")
    with app(folder) as server:
        yield server.address, {path: relabelled if path in OF_CROPS else demo for path in PATHS}


@pytest.fixture(scope="module")
def person(chromium: Browser) -> Iterator[Page]:
    with looking(chromium) as page:
        yield page


@pytest.fixture(scope="module", params=PATHS, ids=lambda path: path or "sets")
def shown(request: pytest.FixtureRequest, full: tuple[str, dict[str, str]], person: Page) -> Shown:
    return Shown(visit(person, full, request.param), request.param)


def visit(page: Page, full: tuple[str, dict[str, str]], path: str) -> Page:
    address, sets = full
    page.emulate_media(color_scheme="light")
    page.goto(f"{address}/{path}?set={sets[path]}")
    settled(page)
    return page


def settled(page: Page) -> None:
    """Drawn, and drawn still after a moment: a component may have asked for another run."""
    drawn(page)
    page.wait_for_timeout(SETTLED_MS)
    drawn(page)


def grave(page: Page, *rules: str) -> list[Violation]:
    return [found for found in violations(page, KNOWN, rules) if found.grave and found.known is None]


def assert_clean(page: Page) -> None:
    """By day with every rule, by night with the only one that colours change."""
    settled(page)
    found = {"light": grave(page)}
    page.emulate_media(color_scheme="dark")
    settled(page)
    found["dark"] = grave(page, "color-contrast")
    page.emulate_media(color_scheme="light")
    settled(page)
    said = [f"{theme}: {one}" for theme in THEMES for one in found[theme]]
    assert not said, "\n" + "\n".join(said)


def main_part(page: Page) -> Locator:
    return page.get_by_test_id("stMain")


def test_fresh_workspace__first_pages_have_no_grave_fault(chromium: Browser, tmp_path: Path):
    with app(tmp_path, made(tmp_path)) as server, looking(chromium) as page:
        page.goto(server.address)
        for name in ("Sets", "Browse", "Decide"):
            go_to(page, name)
            settled(page)
            assert not grave(page), "\n".join(map(str, grave(page)))
            expect(page).to_have_title(f"{name} · Stillroom")
        assert page.locator("html").get_attribute("lang") == "en"


@pytest.mark.slow
def test_menu__every_page_of_it_is_tested(full: tuple[str, dict[str, str]], person: Page):
    visit(person, full, "")
    links = person.get_by_test_id("stSidebarNavLink").all()
    offered = {link.get_attribute("href").split("?")[0].rsplit("/", 1)[1] for link in links}
    assert offered == set(PATHS)


@pytest.mark.slow
def test_page__axe_finds_nothing_grave(shown: Shown):
    assert_clean(shown.page)


@pytest.mark.slow
def test_page__has_a_title_and_one_first_heading(shown: Shown):
    heading = main_part(shown.page).get_by_role("heading", level=1)
    expect(heading).to_have_count(1)
    expect(shown.page).to_have_title(f"{heading.inner_text()} · Stillroom")


@pytest.mark.slow
def test_page__every_picture_and_chart_has_words(shown: Shown):
    figures = shown.page.get_by_test_id("stPlotlyChart")
    names = [figure.get_attribute("aria-label") for figure in figures.all()]
    assert all(name and len(name) > len("A chart.") for name in names), names
    unnamed = "images => images.filter(image => !image.hasAttribute('alt')).map(image => image.outerHTML.slice(0, 200))"
    assert not main_part(shown.page).locator("img").evaluate_all(unnamed)


@pytest.mark.slow
def test_page__tab_leads_through_it_and_out(shown: Shown):
    page = shown.page
    page.get_by_test_id("stSidebarNavLink").last.focus()
    met = stops(page)
    assert met, "the page has nothing to go to"
    assert not [str(stop) for stop in met if not stop.name], "without a name"
    assert not [str(stop) for stop in met if not (stop.ring or stop.is_cell)], "looks the same with and without the focus"
    assert not [str(stop) for stop in met if not stop.visible], "out of sight while it has the focus"
    assert not [f"{a} before {b}" for a, b in leaps(met)], "against the order of reading"
    back = {stop.number for stop in stops(page, "Shift+Tab")}
    assert not [str(stop) for stop in met if stop.number not in back and not stop.is_cell], "no way back"


def leaps(met: list[Stop]) -> list[tuple[Stop, Stop]]:
    """Neighbours of which the second lies wholly above the first in the same column of the page."""
    return [(a, b) for a, b in pairwise(met) if b.bottom < a.top and b.left < a.right and a.left < b.right]


def open_all(page: Page, *names: str) -> None:
    """Every expander with one of these names."""
    for name in names:
        main_part(page).locator("summary").filter(has_text=name).first.click()


def menu_more(page: Page) -> None:
    main_part(page).get_by_test_id("stPopoverButton").filter(has_text="More").first.click()
    expect(page.get_by_test_id("stPopoverBody")).to_be_visible()


@pytest.mark.slow
def test_sets__forms_and_refusals(full: tuple[str, dict[str, str]], person: Page):
    page = visit(person, full, "")
    open_all(page, "Open a set", "What the files leave out", "Settings of this set")
    assert_clean(page)
    page.get_by_label("File or folder").fill("/nowhere/at all.pt")
    page.get_by_test_id("stFormSubmitButton").get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_role("alert").first).to_be_visible()
    assert_clean(page)
    page.get_by_role("tab", name="Upload").click()
    assert_clean(page)


@pytest.mark.slow
def test_browse__filters_menu_and_selection(full: tuple[str, dict[str, str]], person: Page):
    page = visit(person, full, "browse")
    menu_more(page)
    assert_clean(page)
    page.keyboard.press("Escape")
    tiles(page).nth(1).click()
    expect(page.get_by_role("heading", name="Sample")).to_be_visible()
    tiles(page).nth(2).click(modifiers=["Shift"])
    expect(page.get_by_text("2 selected").first).to_be_visible()
    assert_clean(page)
    page.get_by_role("combobox", name="Sort by").click()
    expect(page.get_by_role("listbox").get_by_role("option").first).to_be_visible()
    assert_clean(page)


@pytest.mark.slow
def test_analysis__parameters_and_tables(full: tuple[str, dict[str, str]], person: Page):
    page = visit(person, full, "label_errors")
    open_all(page, "Parameters", "Tables")
    main_part(page).locator("summary").filter(has_text="More (").first.click()
    assert_clean(page)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["decide", "compare"])
def test_card__menu_and_help(full: tuple[str, dict[str, str]], person: Page, path: str):
    page = visit(person, full, path)
    expect(page.locator(".card").first).to_be_visible()
    page.get_by_role("button", name="Show the keys").first.click()
    assert_clean(page)
    page.keyboard.press("Escape")
    menu_more(page)
    assert_clean(page)


@pytest.mark.slow
def test_card__open_editor(full: tuple[str, dict[str, str]], person: Page):
    page = visit(person, full, "decide")
    expect(page.locator(".card").first).to_be_visible()
    page.keyboard.press("e")
    expect(page.get_by_role("group", name="Edit the soft label")).to_be_visible()
    assert_clean(page)


@pytest.mark.slow
def test_audit__a_sample_and_its_history(full: tuple[str, dict[str, str]], person: Page):
    page = visit(person, full, "audit")
    main_part(page).get_by_test_id("stDataFrame").click(position={"x": 15, "y": 55})
    expect(page.get_by_role("dialog")).to_be_visible()
    assert_clean(page)


@pytest.mark.slow
@pytest.mark.parametrize("view", ["Totals", "Export decisions", "Import decisions"])
def test_audit__views(full: tuple[str, dict[str, str]], person: Page, view: str):
    page = visit(person, full, "audit")
    page.get_by_role("radio", name=view).or_(page.get_by_role("button", name=view)).first.click()
    assert_clean(page)


@pytest.mark.slow
def test_empty_workspace__every_page_says_what_to_do(chromium: Browser, tmp_path: Path):
    with app(tmp_path) as server, looking(chromium) as page:
        page.goto(server.address)
        links = page.get_by_test_id("stSidebarNavLink")
        expect(links).to_have_count(len(PATHS))
        for link in links.all():
            link.click()
            expect(link).to_have_attribute("aria-current", "page")
            settled(page)
            assert not grave(page), f"{page.url}\n" + "\n".join(map(str, grave(page)))


@pytest.mark.slow
def test_while_something_runs__progress_and_its_buttons_have_names(chromium: Browser, tmp_path: Path):
    with app(tmp_path) as server, looking(chromium) as page:
        page.goto(server.address)
        page.get_by_role("button", name="Open the demo set").click()
        expect(page.get_by_test_id("stProgress").first).to_be_visible()
        assert not grave(page), "\n".join(map(str, grave(page)))
        cancel = page.get_by_test_id("stSidebar").get_by_role("button", name=re.compile("Cancel [A-Z]")).first
        expect(cancel).to_be_visible()
        assert cancel.bounding_box()["width"] < NARROW_PX


@pytest.mark.slow
def test_login__the_door_the_people_and_a_closed_page(chromium: Browser, tmp_path: Path):
    with guarded(tmp_path) as (server, _), looking(chromium) as ada, looking(chromium) as eve:
        ada.goto(server.address)
        expect(ada.get_by_role("button", name="Log in")).to_be_visible()
        assert_clean(ada)
        for page, name in ((ada, "Ada"), (eve, "Eve")):
            page.goto(server.address)
            log_in(page, name)
        eve.goto(f"{server.address}/decide")
        expect(eve.get_by_text("takes the role annotator or more")).to_be_visible()
        assert_clean(eve)
        go_to(ada, "People")
        open_all(ada, "What the roles may do", "Who gave which role")
        assert_clean(ada)


@pytest.mark.slow
def test_narrow_window__nothing_that_scrolls_is_out_of_reach(full: tuple[str, dict[str, str]], chromium: Browser):
    with looking(chromium, width=800) as page:
        for path in ("browse", "decide", "label_errors"):
            assert not grave(visit(page, full, path)), path


@pytest.mark.slow
@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.rule)
def test_known__still_occurs(full: tuple[str, dict[str, str]], person: Page, known: Known):
    visit(person, full, known.page)
    assert known in [found.known for found in violations(person, KNOWN)], "mended elsewhere: take it off the list"
