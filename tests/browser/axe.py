"""axe-core on a page of the app, and what a page must be before it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")
ADVICE = "best-practice"
GRAVE = frozenset({"serious", "critical"})
DRAWN_MS = 90_000
_RUN = """async ([source, options, known]) => {
    if (!window.axe) (0, eval)(source);
    const found = await window.axe.run({ ...options, elementRef: true });
    const of = (rule, element) => known.findIndex(([id, selector]) => id === rule.id && element?.matches(selector));
    return found.violations.map(rule => ({
        ...rule, nodes: rule.nodes.map(({ element, ...node }) => ({ ...node, known: of(rule, element) })),
    }));
}"""
_DRAWN = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    if (!app || app.dataset.testScriptState !== 'notRunning') return false;
    const waits = '[data-testid="stSkeleton"], [data-testid="stAppSkeleton"], [data-stale="true"]';
    if (document.querySelector(waits)) return false;
    const charts = [...document.querySelectorAll('[data-testid="stPlotlyChart"]')];
    return charts.every(chart => chart.querySelector('.main-svg, .gl-container'));
}"""


@dataclass(frozen=True)
class Known:
    """A fault that is not ours to mend: ``rule`` of axe, the elements that ``selector`` matches, ``why``, and the address of
    a ``page`` where it shows."""

    rule: str
    selector: str
    why: str
    page: str


@dataclass(frozen=True)
class Violation:
    """One element that breaks one rule. ``selector`` is axe's, parts of it in shadow roots parted by " >>> "; ``known`` says
    why it is let pass, None where it is not."""

    rule: str
    impact: str
    selector: str
    html: str
    why: str
    advice: bool = False
    known: Known | None = None

    @property
    def grave(self) -> bool:
        """Whether it breaks WCAG 2.1 AA, seriously or critically."""
        return self.impact in GRAVE and not self.advice

    def __str__(self) -> str:
        return f"{self.rule} ({self.impact}) at {self.selector}\n    {self.html}\n    {self.why}"


def drawn(page: Page) -> None:
    """Wait until nothing runs and everything that was sent is on the page, which is no error of ours."""
    expect(page.get_by_test_id("stMain")).to_be_visible(timeout=DRAWN_MS)
    page.wait_for_function(_DRAWN, timeout=DRAWN_MS)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def violations(page: Page, known: Sequence[Known] = (), rules: Sequence[str] = ()) -> list[Violation]:
    """What axe finds on the page as it stands; of all rules of WCAG 2.1 AA and best practice, or only of ``rules``."""
    only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": [*WCAG, ADVICE]}
    options = {"runOnly": only, "resultTypes": ["violations"]}
    found = page.evaluate(_RUN, [Axe().axe_script, options, [[one.rule, one.selector] for one in known]])
    return [_one(rule, node, known) for rule in found for node in rule["nodes"]]


def _one(rule: dict, node: dict, known: Sequence[Known]) -> Violation:
    checks = [check["message"] for part in ("any", "all", "none") for check in node[part]]
    return Violation(
        rule["id"],
        node["impact"] or rule["impact"],
        " >>> ".join(part if isinstance(part, str) else " >>> ".join(part) for part in node["target"]),
        " ".join(node["html"].split())[:300],
        "; ".join(checks) or rule["help"],
        ADVICE in rule["tags"],
        known[node["known"]] if node["known"] >= 0 else None,
    )
