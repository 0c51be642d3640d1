"""A person's decisions in the page: what is shown is what is decided on, nothing is chosen for them, and one click is one act."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.web.desk import ScriptedDesk
from tests.web.test_dashboard_page import PHONE, View, viewing

from interlock.engine.questions import digest_of
from interlock.model.command import (
    RELEASE_PHRASE,
    ConfirmAccount,
    Decide,
    DeclineLive,
    Enable,
    Flatten,
    Kill,
    Reconcile,
    Reconnect,
    Release,
)
from interlock.model.ids import AccountName
from interlock.model.money import SECOND

pytestmark = pytest.mark.browser
A = AccountName("paper-a")


@pytest.fixture
def view(chromium: Browser) -> Iterator[View]:
    with viewing(chromium) as view:
        yield view


def told(view: View, act: Any) -> Any:
    """Do it on the desk's own loop, and have what it returns."""
    found: list[Any] = []
    view.tell(lambda: found.append(act()))
    return found[0]


def look_at(view: View, question: str) -> Locator:
    view.page.locator(f"[data-question='{question}']").get_by_role("button").click()
    return view.page.get_by_role("dialog")


# -- questions


def test_a_drift_is_shown_side_by_side_and_answered_once_however_often_one_clicks(view: View):
    page, desk = view.page, view.server.desk
    seen = told(view, desk.drift)
    dialog = look_at(view, "drift.paper-a")
    expect(dialog.locator("tr", has_text="position MNQ")).to_contain_text(re.compile("2.*3"))
    expect(dialog).to_contain_text(f"seen {seen}")
    go = dialog.get_by_role("button", name="Answer")
    expect(go).to_be_disabled()
    expect(dialog.get_by_role("radio", checked=True)).to_have_count(0)

    dialog.get_by_label("adopt-broker").check()
    expect(go).to_have_text("Answer: adopt-broker")
    go.dblclick()

    expect(page.locator("[data-question]")).to_have_count(0)
    expect(dialog).to_be_hidden()
    assert desk.commands == [Decide("drift.paper-a", "adopt-broker", seen)]


def test_enter_and_leaving_it_answer_nothing(view: View):
    page, desk = view.page, view.server.desk
    told(view, desk.drift)
    dialog = look_at(view, "drift.paper-a")

    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Leave it").click()
    expect(dialog).to_be_hidden()
    look_at(view, "drift.paper-a")
    page.keyboard.press("Escape")

    expect(dialog).to_be_hidden()
    assert desk.commands == []


def test_a_state_that_moves_under_the_dialog_has_to_be_looked_at_again(view: View):
    desk = view.server.desk
    told(view, desk.drift)
    dialog = look_at(view, "drift.paper-a")
    dialog.get_by_label("abort").check()

    now = told(view, lambda: desk.drift(theirs="5"))

    expect(dialog.get_by_role("alert")).to_contain_text("The state has moved")
    expect(dialog.get_by_role("button", name="Answer")).to_be_disabled()
    dialog.get_by_role("button", name="Look again").click()
    expect(dialog.locator("tr", has_text="position MNQ")).to_contain_text(re.compile("2.*5"))
    expect(dialog.get_by_role("radio", checked=True)).to_have_count(0)
    dialog.get_by_label("abort").check()
    dialog.get_by_role("button", name="Answer").click()
    expect(dialog).to_be_hidden()
    assert desk.commands == [Decide("drift.paper-a", "abort", now)]


def test_what_the_desk_refuses_as_moved_is_not_sent_again_by_itself(view: View):
    desk = view.server.desk
    seen = told(view, desk.drift)
    dialog = look_at(view, "drift.paper-a")
    view.tell(lambda: desk.asked["drift.paper-a"].update(digest="f" * 16))     # it has moved, and the page has not heard yet

    dialog.get_by_label("adopt-local").check()
    dialog.get_by_role("button", name="Answer").click()

    expect(dialog.get_by_role("alert").filter(has_text="Nothing was done")).to_be_visible()
    expect(dialog.get_by_role("radio", checked=True)).to_have_count(0)
    assert desk.commands == [Decide("drift.paper-a", "adopt-local", seen)]


def test_a_lost_line_is_connected_and_then_enabled_by_two_acts(view: View):
    page, desk = view.page, view.server.desk
    told(view, desk.lose_line)
    expect(page.locator("header.top")).to_contain_text("BROKER OFFLINE")
    expect(page.locator("[data-account='paper-a']")).to_contain_text("BROKER OFFLINE")

    dialog = look_at(view, "line.paper-a")
    dialog.get_by_label("reconnect").check()
    dialog.get_by_role("button", name="Answer").click()

    expect(page.locator("header.top")).not_to_contain_text("BROKER OFFLINE")
    expect(page.locator("[data-account='paper-a']")).to_contain_text("entries frozen: offline")
    dialog = look_at(view, "offline.paper-a")
    dialog.get_by_label("enable").check()
    dialog.get_by_role("button", name="Answer").click()
    expect(page.locator("[data-question]")).to_have_count(0)
    assert [type(command) for command in desk.commands] == [Reconnect, Enable]
    assert all(command.seen for command in desk.commands)  # type: ignore[union-attr]


def test_a_question_that_takes_no_answer_yet_can_be_looked_at(view: View):
    desk = view.server.desk
    told(view, lambda: desk.ask("loss.paper-a", "loss", "It cannot be lifted now: the trading day is not over.",
                                [("loss", "paper-a", "-812.5")], account="paper-a"))

    dialog = look_at(view, "loss.paper-a")

    expect(dialog).to_contain_text("There is nothing to answer yet.")
    expect(dialog.get_by_role("radio")).to_have_count(0)
    expect(dialog.get_by_role("button")).to_have_count(1)


def test_a_tier_is_named_with_its_reasons(view: View):
    desk = view.server.desk
    view.tell(lambda: desk.tell_account("paper-a", tier=4, tier_reasons=["account.paper-a: no quote of MNQ for 31 s"]))
    view.tell(lambda: desk.tell_account("paper-b", tier=4, tier_reasons=["killed: news"]))

    expect(view.page.locator("[data-account='paper-a']")).to_contain_text("TIER 4 · HALT")
    expect(view.page.locator("[data-account='paper-a']")).to_contain_text("no quote of MNQ for 31 s")
    expect(view.page.locator("[data-account='paper-b']")).to_contain_text("KILLED")
    expect(view.page.locator("[data-account='paper-b']")).not_to_contain_text("TIER")


def test_an_account_is_compared_with_its_broker_now(view: View):
    page, desk = view.page, view.server.desk
    account = page.locator("[data-account='paper-a']")
    expect(account).to_contain_text("not compared with the broker yet")

    account.get_by_role("button", name="Reconcile paper-a now").click()

    expect(account).to_contain_text("books agree with the broker's")
    assert desk.commands == [Reconcile(A)]
    view.tell(lambda: desk.tell_account("paper-a", ts_read=desk.clock.now(), differences=2))
    expect(account).to_contain_text("2 differences from the broker")


# -- kill and release


def proofs(desk: ScriptedDesk, *rows: dict[str, Any]) -> None:
    desk.board.killed("everything", "news", desk.clock.now(), cancelled=3, proofs=rows)


def proof(account: str, is_clean: bool | None, *left: str, notional: str | None = "45750") -> dict[str, Any]:
    return {"account": account, "clean": is_clean, "left": list(left), "notional": notional, "ts": 1_772_461_800 * SECOND}


def test_a_kill_is_proved_account_by_account_by_the_brokers_own_lists(view: View):
    desk = view.server.desk
    bar = view.page.locator(".bar.kill")
    told(view, lambda: desk.kill("news"))
    expect(bar.locator("[data-proof]")).to_have_text("proof under way")
    expect(bar).to_contain_text("paper-a the broker's list is awaited")

    view.tell(lambda: proofs(desk, proof("paper-a", True), proof("paper-b", False, "entmnqb8k2", notional=None)))

    expect(bar.locator("[data-proof]")).to_have_text("✕ NOT PROVED")
    expect(bar.locator("li", has_text="paper-a")).to_contain_text(
        re.compile(r"proved clean at [\d:]+ by the broker's word, \$45,750.00"))
    expect(bar.locator("li", has_text="paper-b")).to_contain_text(
        re.compile(r"1 order left \(entmnqb8k2\) at [\d:]+ by the broker's word, notional unknown"))
    view.tell(lambda: proofs(desk, proof("paper-a", True), proof("paper-b", True, notional="0")))
    expect(bar.locator("[data-proof]")).to_have_text("✓ proved clean")


def test_the_chord_opens_the_kill_over_every_other_dialog(view: View):
    page, desk = view.page, view.server.desk
    told(view, desk.drift)
    openers = [lambda: look_at(view, "drift.paper-a"), lambda: page.get_by_role("button", name="Flatten all…").click(),
               lambda: page.get_by_role("button", name="Hold a drill…").click(),
               lambda: page.locator("[data-account='paper-a']").get_by_role("button", name="Disable…").click()]
    for open_it in openers:
        open_it()
        page.keyboard.press("Control+Shift+K")
        expect(page.get_by_label("Type KILL")).to_be_focused()
        while page.locator("dialog[open]").count():
            page.keyboard.press("Escape")

    openers[0]()
    page.keyboard.press("Meta+Shift+K")
    page.keyboard.type("KILL")
    page.keyboard.press("Enter")
    expect(page.locator(".bar.kill")).to_be_visible()
    assert desk.commands == [Kill("kill switch of the page")]


def test_a_release_is_void_once_what_it_was_decided_on_has_moved(view: View):
    page, desk = view.page, view.server.desk
    told(view, lambda: desk.kill("news"))
    page.get_by_role("button", name="Release…").click()
    dialog = page.get_by_role("dialog", name="Release")
    expect(dialog.locator("tr", has_text="epoch")).to_contain_text("1")
    dialog.get_by_label("Type").fill(RELEASE_PHRASE)

    told(view, lambda: desk.kill("news again", epoch=2))

    expect(dialog.get_by_role("alert")).to_contain_text("The state has moved")
    expect(dialog.get_by_role("button", name="Release")).to_be_disabled()
    dialog.get_by_role("button", name="Look again").click()
    expect(dialog.get_by_label("Type")).to_have_value("")
    expect(dialog.locator("tr", has_text="epoch")).to_contain_text("2")
    dialog.get_by_label("Type").fill(RELEASE_PHRASE)
    dialog.get_by_role("button", name="Release").dblclick()
    expect(page.locator(".bar.kill")).to_have_count(0)
    shown = digest_of([("killed", "everything", "news again"), ("epoch", "2", "")])
    assert desk.commands == [Release(RELEASE_PHRASE, seen=shown)]


def test_an_alarm_stands_once_however_often_it_calls_and_its_command_can_be_copied(chromium: Browser):
    with viewing(chromium, permissions=["clipboard-read", "clipboard-write"]) as view:
        page, board = view.page, view.server.desk.board
        text = "paper-a holds MES 2. Protection stays, nothing is closed without a person: interlock flatten --account paper-a"
        view.tell(lambda: board.alarm("halt.account.paper-a", "critical", text))
        view.tell(lambda: board.alarm("halt.account.paper-a#2", "critical", f"{text} (still so; call 2)"))
        expect(page.get_by_role("alert")).to_have_count(1)
        expect(page.get_by_role("alert")).to_contain_text("nothing is closed without a person (still so; call 2)")
        expect(page.locator("code", has_text="interlock flatten --account paper-a")).to_have_count(1)

        page.get_by_role("button", name="Copy interlock flatten --account paper-a").click()

        expect(page.get_by_role("button", name="Copy")).to_have_text("Copied")
        assert view.evaluate("navigator.clipboard.readText()") == "interlock flatten --account paper-a"
        page.get_by_role("alert").get_by_role("button", name="Flatten…").click()
        expect(page.get_by_role("dialog")).to_contain_text("Flatten everything in paper-a")


# -- flatten


def flattening(view: View, name: str = "Flatten MNQ in paper-a") -> Locator:
    view.page.get_by_role("button", name=name).click()
    dialog = view.page.get_by_role("dialog")
    expect(dialog.locator("table")).to_be_visible()
    return dialog


def test_a_flatten_shows_the_positions_and_then_the_brokers_word(view: View):
    desk = view.server.desk
    dialog = flattening(view)
    expect(dialog.locator("tr", has_text="position")).to_have_count(1)
    go = dialog.get_by_role("button", name="Flatten")
    dialog.get_by_label("Type FLATTEN").fill("flatten")
    expect(go).to_be_disabled()
    dialog.get_by_label("Type FLATTEN").fill("FLATTEN")

    go.dblclick()

    expect(dialog).to_contain_text("asking the broker…")
    seen = told(view, lambda: desk.positions_shown("paper-a", "MNQ")["digest"])
    assert desk.commands == [Flatten("flatten by the page", A, "MNQ", seen)]
    view.tell(lambda: desk.board.flatten_result("paper-a", "MNQ", "residual", "1", "the venue rejected the close",
                                                desk.clock.now(), is_over=True))
    expect(dialog).to_contain_text("✕ MNQ: NOT flat, +1 left by the broker's word. the venue rejected the close")
    view.tell(lambda: desk.board.flatten_result("paper-a", "MNQ", "flat", "0", "", desk.clock.now(), is_over=True))
    expect(dialog).to_contain_text("✓ MNQ: flat by the broker's word")
    expect(dialog).not_to_contain_text("NOT flat")


def test_positions_that_move_under_the_dialog_are_shown_again_and_the_word_is_typed_again(view: View):
    desk = view.server.desk
    dialog = flattening(view)
    dialog.get_by_label("Type FLATTEN").fill("FLATTEN")

    view.tell(lambda: desk.board.position("paper-a", "MNQ", "3", "25104.25", "3", "25000", None, "-20", "demo"))

    expect(dialog.get_by_role("alert")).to_contain_text("The positions have moved")
    expect(dialog.get_by_role("button", name="Flatten")).to_be_disabled()
    dialog.get_by_role("button", name="Look again").click()
    expect(dialog.locator("tr", has_text="position")).to_contain_text("3")
    expect(dialog.get_by_label("Type FLATTEN")).to_have_value("")
    assert desk.commands == []


def test_what_the_broker_has_moved_is_shown_again(view: View):
    desk = view.server.desk
    dialog = flattening(view)
    shown = desk.positions_shown
    desk.positions_shown = lambda *reach: shown(*reach) | {"digest": "f" * 16}  # type: ignore[method-assign]

    dialog.get_by_label("Type FLATTEN").fill("FLATTEN")
    dialog.get_by_role("button", name="Flatten").click()

    expect(dialog.get_by_role("alert")).to_contain_text("Nothing was done: the positions have moved")
    expect(dialog.get_by_label("Type FLATTEN")).to_have_value("")
    assert len(desk.commands) == 1


# -- the drill


def test_a_drill_says_its_figures_and_they_stand_there_after_a_reload(view: View):
    page, desk = view.page, view.server.desk
    page.get_by_role("button", name="Hold a drill…").click()
    dialog = page.get_by_role("dialog", name="Kill drill")
    dialog.get_by_label("Orders").fill("7")

    dialog.get_by_role("button", name="Hold the drill").click()

    expect(dialog.get_by_role("status")).to_have_text("7 orders, 7 cancelled, confirmed in 41.7 ms.")
    assert desk.drills == [7]
    page.reload()
    expect(page.locator("[data-drill]")).to_contain_text("7 orders, 7 cancelled, confirmed in 41.7 ms")


def test_a_drill_that_was_not_held_says_why_and_a_live_page_has_none(view: View):
    page, desk = view.page, view.server.desk
    desk.drill_refused = "the drill's venue did not start"
    page.get_by_role("button", name="Hold a drill…").click()
    page.get_by_role("button", name="Hold the drill").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("the drill's venue did not start (drill.not_held)")

    page.keyboard.press("Escape")
    view.tell(lambda: desk.go_live(is_watch=True))
    expect(page.get_by_role("button", name="Hold a drill…")).to_have_count(0)


# -- live


@pytest.fixture
def asked(chromium: Browser) -> Iterator[View]:
    """A live desk that waits for its accounts to be confirmed."""
    with viewing(chromium) as view:
        view.tell(view.server.desk.go_live)
        yield view


def live_dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="LIVE: is this the account?")


def test_the_confirmation_cannot_be_waved_away(asked: View):
    page = asked.page
    dialog = live_dialog(page)
    expect(dialog).to_contain_text("U-0417-paper-a")
    expect(dialog).to_contain_text("$50,214.50")

    for _ in range(3):
        page.keyboard.press("Escape")
        page.mouse.click(5, 450)
        page.wait_for_timeout(100)
        expect(dialog).to_be_visible()
    page.evaluate("document.querySelector('dialog[open]').close()")      # whatever a browser finds to close it with
    expect(dialog).to_be_visible()
    assert asked.server.desk.commands == []


def test_only_the_full_number_confirms_and_each_account_has_its_own(asked: View):
    page, desk = asked.page, asked.server.desk
    dialog = live_dialog(page)
    number = dialog.get_by_label("Type the full account number")
    expect(dialog.get_by_role("button", name="Confirm")).to_be_disabled()

    number.fill("U-0417")
    dialog.get_by_role("button", name="Confirm").click()
    expect(dialog.get_by_role("alert")).to_contain_text("that is not the full number of this account")
    expect(number).to_have_value("")
    number.fill("U-0417-paper-a")
    dialog.get_by_role("button", name="Confirm").dblclick()
    expect(dialog).to_contain_text("U-0417-paper-b")
    number.fill("U-0417-paper-b")
    number.press("Enter")

    expect(dialog).to_be_hidden()
    assert [(type(each), each.account, each.typed) for each in desk.commands] == [  # type: ignore[union-attr]
        (ConfirmAccount, "paper-a", "U-0417"), (ConfirmAccount, "paper-a", "U-0417-paper-a"),
        (ConfirmAccount, "paper-b", "U-0417-paper-b")]


def test_the_kill_comes_over_the_confirmation_and_the_confirmation_comes_back(asked: View):
    page, desk = asked.page, asked.server.desk
    expect(live_dialog(page)).to_be_visible()

    page.keyboard.press("Control+Shift+K")
    page.keyboard.type("KILL")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Close").click()

    expect(live_dialog(page)).to_be_visible()
    assert desk.commands == [Kill("kill switch of the page")]


def test_cancel_ends_the_live_desk(asked: View):
    page, desk = asked.page, asked.server.desk
    live_dialog(page).get_by_role("button", name="Cancel: end the live desk").click()

    expect(page.get_by_text("The live desk has ended.")).to_be_visible()
    expect(live_dialog(page)).to_be_hidden()
    assert desk.commands == [DeclineLive()]


def test_a_desk_that_only_watches_asks_for_no_confirmation_and_for_numbers_where_it_needs_them(view: View):
    page, desk = view.page, view.server.desk
    view.tell(lambda: desk.go_live(is_watch=True))
    expect(page.get_by_text("WATCHING ONLY.")).to_be_visible()
    expect(live_dialog(page)).to_be_hidden()

    page.get_by_role("button", name="Flatten all…").click()
    expect(page.get_by_role("dialog")).to_contain_text("flattened one by one")
    page.keyboard.press("Escape")
    dialog = flattening(view)
    dialog.get_by_label("Type FLATTEN").fill("FLATTEN")
    expect(dialog.get_by_role("button", name="Flatten")).to_be_disabled()
    dialog.get_by_label("Full account number").fill("U-0417-paper-a")
    dialog.get_by_role("button", name="Flatten").click()
    expect(dialog).to_contain_text("asking the broker…")
    page.keyboard.press("Control+Shift+K")
    page.get_by_label("Orders to cancel").select_option(value="all")
    page.get_by_label("Full account number").fill("U-0417-paper-a")
    page.get_by_label("Type KILL").fill("KILL")
    page.get_by_label("Type KILL").press("Enter")
    expect(page.get_by_role("dialog", name="Killed")).to_be_visible()

    flatten, kill = desk.commands
    assert (flatten.typed, kill.typed) == ("U-0417-paper-a", "U-0417-paper-a")  # type: ignore[union-attr]


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_phone_can_decide_everything_without_scrolling_sideways(chromium: Browser, scheme: str):
    with viewing(chromium, viewport=PHONE, color_scheme=scheme, has_touch=True, is_mobile=True) as view:
        desk = view.server.desk
        told(view, lambda: desk.kill("n" * 120))
        view.tell(lambda: proofs(desk, proof("paper-a", False, *("x" * 18 for _ in range(4)))))
        told(view, desk.lose_line)
        told(view, lambda: desk.drift("1" * 30, "2" * 30))
        view.tell(lambda: desk.board.alarm("h", "critical", "held: interlock flatten --account paper-a --instrument MES"))
        dialog = look_at(view, "drift.paper-a")
        expect(dialog.get_by_label("abort")).to_be_visible()
        assert view.evaluate("document.documentElement.scrollWidth") <= 390
        assert dialog.evaluate("node => node.scrollWidth <= node.clientWidth")
