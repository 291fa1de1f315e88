"""What waits in a browser: kept through whatever happens to the tab, sent in parts, and in the log once."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.browser.conftest import REPOSITORY, Server
from tests.browser.steps import saved, settled
from tests.browser.test_components import expect_log, open_card

pytestmark = [pytest.mark.browser, pytest.mark.slow]
MANY, SAMPLES = 1_000, 100
PAUSE_MS = 40
QUEUE_JS = (REPOSITORY / "app" / "components" / "card_parts" / "event_queue.js").read_text(encoding="utf-8")
QUEUE = f"""() => {{
    {QUEUE_JS}
    window.sent = [];
    window.queue = new EventQueue('decisions', 'alone');
    window.answer = (session, numbers) => {{
        queue.acknowledge({{ session, numbers }});
        queue.connect((_, message) => sent.push(message.entries.map(entry => entry.seq)));
    }};
    answer('one', {{}});
}}"""
FULL = """() => {
    for (let n = 1 << 22; n > 8; n >>= 1) {
        try { while (true) sessionStorage.setItem(`${n} ${Math.random()}`, ' '.repeat(n)); } catch {}
    }
}"""


def refuse(page: Page, refused: bool = True) -> None:
    """From now on what is decided cannot be written, or can again."""
    page.locator("label", has_text="broken").click()
    expect(page.get_by_role("checkbox", name="broken")).to_be_checked(checked=refused)
    settled(page)


def alone(page: Page) -> None:
    """A queue on an empty page whose clock stands still; what it sends is noted, and nobody answers."""
    page.clock.install(time=0)
    page.goto("about:blank")
    page.evaluate(QUEUE)
    page.clock.pause_at(60_000)


def add(page: Page, count: int = 1) -> None:
    page.evaluate("count => { for (let i = 0; i < count; i++) queue.add({ action: 'keep' }); }", count)


def answer(page: Page, seq: int, session: str = "one") -> None:
    """What a run of the script ends with: everything up to ``seq`` is committed."""
    page.evaluate("([seq, session]) => answer(session, { [queue.token]: seq })", [seq, session])


def went_out(page: Page) -> list[list[int]]:
    return page.evaluate("sent.splice(0)")


def test_what_comes_while_a_message_is_not_answered_goes_out_together_with_its_answer(page: Page):
    alone(page)
    add(page)
    page.clock.run_for(PAUSE_MS)
    add(page, 2)
    page.clock.run_for(PAUSE_MS)
    assert went_out(page) == [[0]]
    answer(page, -1)  # of a run that had begun before
    page.clock.run_for(PAUSE_MS)
    assert went_out(page) == []
    answer(page, 0)
    page.clock.run_for(PAUSE_MS)
    assert went_out(page) == [[1, 2]]
    answer(page, 2)
    page.clock.run_for(60_000)
    assert went_out(page) == [], "there is nothing to be repeated"


def test_a_burst_goes_out_together_but_none_of_it_waits_long(page: Page):
    alone(page)
    for _ in range(40):
        add(page)
        page.clock.run_for(20)
    [first] = went_out(page)
    assert first == list(range(25)), "500 ms of it"
    answer(page, 24)
    page.clock.run_for(PAUSE_MS)
    assert went_out(page) == [list(range(25, 40))]


def test_hurry__sends_what_is_held_and_nothing_twice(page: Page):
    alone(page)
    add(page, 2)
    page.evaluate("queue.hurry()")
    assert went_out(page) == [[0, 1]]
    page.evaluate("queue.hurry()")
    page.clock.run_for(PAUSE_MS)
    assert went_out(page) == []


def test_flush__sends_also_what_waits_for_an_answer_and_nothing_twice(page: Page):
    alone(page)
    add(page)
    page.clock.run_for(PAUSE_MS)
    add(page, 2)
    page.evaluate("queue.flush()")
    assert went_out(page) == [[0], [0, 1, 2]]
    page.evaluate("queue.flush()")
    page.clock.run_for(PAUSE_MS)
    assert went_out(page) == []


def test_a_message_that_nobody_answers_holds_up_the_next_for_a_second(page: Page):
    alone(page)
    add(page)
    page.clock.run_for(900)
    add(page)
    assert went_out(page) == [[0]]
    page.clock.run_for(200)
    add(page)
    page.clock.run_for(PAUSE_MS)
    assert went_out(page) == [[0, 1, 2]]
    page.clock.run_for(60_000)
    assert set(map(tuple, went_out(page))) == {(0, 1, 2)}, "and it is repeated"


def test_a_new_session_gets_at_once_what_waits(page: Page):
    alone(page)
    add(page, 2)
    page.clock.run_for(PAUSE_MS)
    answer(page, -1, session="two")
    page.clock.run_for(PAUSE_MS)
    assert went_out(page) == [[0, 1], [0, 1]]


def test_a_thousand_that_piled_up_arrive_once_in_order_in_parts(new_page: Callable[..., Page], component_server: Server):
    page = new_page()
    query = open_card(page, component_server, n=SAMPLES + 10)
    scope = dict(part.split("=") for part in query.split("&"))["run"]
    waiting = [
        {"token": "an earlier load", "seq": i, "at": "2026-01-01T00:00:00.000Z", "action": "keep", "sample_id": i % SAMPLES}
        for i in range(MANY)
    ]
    page.evaluate(
        "([place, text]) => sessionStorage.setItem(place, text)", [f"stillroom/decisions/{scope}", json.dumps(waiting)]
    )
    sent: list[int] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(len(frame))))
    page.reload()
    saved(page)
    expect_log(page, [f"keep {i % SAMPLES}" for i in range(MANY)])
    assert 0 < max(sent) < len(json.dumps(waiting)) / 3


def test_a_duplicated_tab_sends_the_same_and_it_is_there_once(page: Page, component_server: Server):
    query = open_card(page, component_server)
    refuse(page)
    for key in "kks":
        page.keyboard.press(key)
    expect(page.locator(".saved")).to_contain_text("3 waiting")
    kept = page.evaluate("JSON.stringify(sessionStorage)")
    copy = page.context.new_page()
    copy.add_init_script(f"Object.entries({kept}).forEach(([name, value]) => sessionStorage.setItem(name, value))")
    copy.goto(f"{component_server.address}/card_page?{query}")
    expect_log(copy, ["keep 0", "keep 1", "skip 2"])
    saved(copy)
    refuse(page, False)
    page.bring_to_front()
    page.locator(".card .title").first.click()
    page.keyboard.press("k")
    saved(page)
    expect_log(page, ["keep 0", "keep 1", "skip 2", "keep 3"])


def test_a_full_storage_loses_nothing_and_the_browser_asks_before_it_leaves(page: Page, component_server: Server):
    open_card(page, component_server)
    page.evaluate(FULL)
    refuse(page)
    page.locator(".card .title").first.click()
    for key in "kk":
        page.keyboard.press(key)
    expect(page.locator(".saved")).to_contain_text("2 waiting")
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    with page.expect_event("dialog"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"] and not page.is_closed()
    refuse(page, False)
    page.locator(".card .title").first.click()
    page.keyboard.press("k")
    saved(page)
    expect_log(page, ["keep 0", "keep 1", "keep 2"])
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"], "nothing waits, so nothing is asked"
