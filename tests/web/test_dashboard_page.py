"""The page in a real browser, on a real server and a real board: what a trader sees, and what the kill switch does."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect
from tests.web.desk import ScriptedDesk, Served, served

from interlock.engine.questions import digest_of
from interlock.model.command import RELEASE_PHRASE, DisableAccount, Kill, Release
from interlock.model.ids import LaneName
from interlock.model.money import SECOND

pytestmark = pytest.mark.browser

DESKTOP: ViewportSize = {"width": 1400, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
BREACHES = """document.addEventListener('securitypolicyviolation',
    event => (window.breaches ??= []).push(event.violatedDirective))"""


class View:
    """One page on one desk, and what the browser complained about or asked for on the way."""

    def __init__(self, server: Served, page: Page) -> None:
        self.server = server
        self.page = page
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.add_init_script(BREACHES)

    def open(self) -> None:
        self.page.goto(self.server.link)
        expect(self.page.locator("[data-account]")).to_have_count(2)

    def tell(self, act: Callable[[], object]) -> None:
        self.server.tell(act)

    def evaluate(self, script: str) -> Any:
        return self.page.evaluate(script)


@contextmanager
def viewing(chromium: Browser, **context: Any) -> Iterator[View]:
    with served(ScriptedDesk()) as server:
        opened = chromium.new_context(**{"viewport": DESKTOP, "color_scheme": "dark", **context})
        view = View(server, opened.new_page())
        view.open()
        yield view
        opened.close()


@pytest.fixture
def view(chromium: Browser) -> Iterator[View]:
    with viewing(chromium) as view:
        yield view


def painted(view: View) -> int:
    """Pixels of the chart that have the colour of a rising or a falling candle."""
    return int(view.evaluate("""() => [...document.querySelectorAll('#chart canvas')].reduce((sum, canvas) => {
        if (!canvas.width || !canvas.height) return sum;
        const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const near = (i, r, g, b) => Math.abs(data[i]-r) + Math.abs(data[i+1]-g) + Math.abs(data[i+2]-b) < 12;
        let found = 0;
        for (let i = 0; i < data.length; i += 4) if (near(i, 47, 197, 143) || near(i, 255, 93, 108)) found += 1;
        return sum + found;
    }, 0)"""))


def test_the_page_shows_mode_provenance_candles_positions_orders_and_verdicts(view: View):
    page = view.page

    expect(page.locator(".mode")).to_have_text("PAPER")
    expect(page.locator("header.top")).to_contain_text("SIMULATED MARKET")
    expect(page.locator(".legend")).to_have_attribute("data-drawn", "240")
    page.wait_for_timeout(300)         # a frame or two for the canvas
    assert painted(view) > 2_000
    expect(page.get_by_role("region", name="Positions")).to_contain_text("2 of 2")
    expect(page.get_by_role("region", name="Orders").locator("tbody tr")).to_have_count(8)
    expect(page.get_by_role("region", name="Verdicts of the gate").locator("ol > li")).to_have_count(5)
    expect(page.locator("#tv-attr-logo")).to_be_visible()
    expect(page.locator("[data-account='paper-a'] .label")).to_have_text("PAPER SIM")
    assert "token" not in page.url


def test_a_desk_that_holds_nothing_says_that_it_is_flat(view: View):
    desk = view.server.desk
    for instrument in ("MNQ", "MES"):
        for account in ("paper-a", "paper-b"):
            view.tell(partial(desk.board.position, account, instrument, "0", "0", "0"))

    expect(view.page.get_by_role("region", name="Positions")).to_contain_text("Flat. No position is open.")
    view.page.reload()
    expect(view.page.get_by_role("region", name="Positions")).to_contain_text("Flat. No position is open.")


def test_nothing_leaves_the_machine_and_the_content_policy_is_kept(view: View):
    view.page.keyboard.press("Control+Shift+K")
    view.page.keyboard.press("Escape")
    view.page.get_by_role("tab", name="MES").click()
    view.page.wait_for_timeout(500)

    assert view.evaluate("window.breaches ?? []") == []
    assert view.complaints == []
    assert {url.split("/")[2] for url in view.asked} == {f"127.0.0.1:{view.server.port}"}


def test_a_verdict_appears_by_itself_and_opens_to_every_check_with_its_reason(view: View):
    gate = view.page.get_by_role("region", name="Verdicts of the gate")

    view.tell(lambda: view.server.desk.verdict("MES", "paper-b", "demo", "phase.3_daily_loss", "limit.daily_loss",
                                               "day result -512.5 is below the limit of -500"))

    newest = gate.locator("ol > li").first
    expect(newest).to_contain_text("limit.daily_loss: day result -512.5 is below the limit of -500", timeout=2000)
    newest.locator("summary").click()
    expect(newest.locator(".check")).to_have_count(16)
    expect(newest.locator(".check.refuse")).to_contain_text("phase.3_daily_loss")
    expect(newest.locator(".check", has_text="phase.5_size")).to_contain_text("cap 120")


def test_decimals_stand_as_they_were_sent(view: View):
    view.tell(lambda: view.server.desk.board.order({
        "client_order_id": "exact", "signal_id": "s", "account": "paper-a", "instrument": "BTCUSD", "side": "sell",
        "quantity": "0.10000000000000000001", "filled": "0", "state": "working", "outcome": None, "purpose": "target",
        "limit": "64123.10"}))

    row = view.page.locator("tr", has_text="BTCUSD")
    expect(row).to_contain_text("0 / 0.10000000000000000001")
    expect(row).to_contain_text("limit 64123.10")


def test_the_chord_and_the_typed_word_reach_the_door_and_nothing_less_does(view: View):
    page, desk = view.page, view.server.desk
    page.keyboard.press("Control+Shift+K")
    dialog = page.get_by_role("dialog", name="Kill")
    expect(dialog).to_contain_text("long 2 MNQ")
    expect(dialog).to_contain_text("Notional that stays open")
    expect(dialog).to_contain_text("does not close positions")
    go = dialog.get_by_role("button", name="Kill")
    word = dialog.get_by_label("Type KILL")
    expect(word).to_be_focused()

    word.fill("kill")
    expect(go).to_be_disabled()
    word.press("Enter")
    assert desk.commands == []
    word.fill("KILL")
    dialog.get_by_label("Why").fill("fat finger")
    go.click()

    expect(page.get_by_role("dialog")).to_contain_text("3 orders are being cancelled")
    expect(page.get_by_role("dialog")).to_contain_text(re.compile(r"Notional still at risk: \$2\d\d,\d\d\d\.\d\d"))
    assert desk.commands == [Kill("fat finger")]
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".bar.kill")).to_contain_text("KILLED: everything")
    expect(page.locator(".bar.kill")).to_contain_text("notional still at risk")


def test_a_lane_can_be_killed_alone_and_released_again(view: View):
    page, desk = view.page, view.server.desk
    page.get_by_role("button", name=re.compile("^Kill")).click()
    page.get_by_label("Reach").select_option(label="Lane futures")
    page.get_by_label("Type KILL").fill("KILL")
    page.get_by_label("Type KILL").press("Enter")
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".bar.kill")).to_contain_text("KILLED: lane futures")
    page.get_by_role("button", name="Release…").click()
    page.get_by_role("dialog", name="Release").get_by_label("Type").fill(RELEASE_PHRASE)
    page.get_by_role("dialog", name="Release").get_by_role("button", name="Release").click()

    expect(page.locator(".bar.kill")).to_have_count(0)
    shown = digest_of([("killed", "lane futures", "kill switch of the page"), ("epoch", "1", "")])
    assert desk.commands == [Kill("kill switch of the page", lane=LaneName("futures")),
                             Release(RELEASE_PHRASE, lane=LaneName("futures"), seen=shown)]


def test_a_release_asks_for_the_phrase(view: View):
    page, desk = view.page, view.server.desk
    view.tell(lambda: desk.kill("drill"))
    page.get_by_role("button", name="Release…").click()
    dialog = page.get_by_role("dialog", name="Release")
    phrase = dialog.get_by_label("Type")

    phrase.fill("release the kill")
    expect(dialog.get_by_role("button", name="Release")).to_be_disabled()
    phrase.fill(RELEASE_PHRASE)
    dialog.get_by_role("button", name="Release").click()

    expect(page.locator(".bar.kill")).to_have_count(0)
    assert desk.commands == [Release(RELEASE_PHRASE, seen=digest_of([("killed", "everything", "drill"), ("epoch", "1", "")]))]


def test_an_account_is_disabled_with_a_reason(view: View):
    page, desk = view.page, view.server.desk
    page.locator("[data-account='paper-b']").get_by_role("button", name="Disable…").click()
    page.get_by_role("dialog").get_by_label("Why").fill("rollover")
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()

    expect(page.locator("[data-account='paper-b']")).to_contain_text("DISABLED")
    assert desk.commands == [DisableAccount("paper-b", "rollover")]  # type: ignore[arg-type]


def test_a_label_turns_grey_when_its_venue_falls_silent_and_comes_back_with_it(view: View):
    page, desk = view.page, view.server.desk
    label = page.locator("[data-account='paper-a'] .label")
    coloured = label.evaluate("node => getComputedStyle(node).color")

    def fall_silent() -> None:
        desk.is_heard = False
        desk.clock.skip(9 * SECOND + SECOND // 2)

    view.tell(fall_silent)

    expect(label).to_have_text("UNKNOWN", timeout=2000)
    expect(page.locator("[data-account='paper-a']")).to_contain_text(re.compile(r"last proof \d+ s ago"))
    assert label.evaluate("node => getComputedStyle(node).color") != coloured
    expect(page.get_by_role("region", name="Positions").locator("li.unknown")).to_have_count(4)

    def speak() -> None:
        desk.is_heard = True

    view.tell(speak)
    expect(label).to_have_text("PAPER SIM", timeout=2000)


def test_accounts_of_different_truth_make_a_mixed_lane(view: View):
    desk = view.server.desk
    view.tell(lambda: desk.board.account("paper-b", mode="paper", truth="runtime_sim", ts_proof=desk.clock.now(),
                                         evidence="demo host answered", enabled=True))

    expect(view.page.locator(".lane .label")).to_have_text("MIXED")


def test_a_page_that_lost_its_desk_looks_it_and_recovers_by_itself(chromium: Browser):
    with served(ScriptedDesk()) as server:
        context = chromium.new_context(viewport=DESKTOP)
        view = View(server, context.new_page())
        view.open()
        server.stop()
        expect(view.page.locator(".stale-bar")).to_contain_text("CONNECTION LOST")
        expect(view.page.locator("main.stale")).to_have_count(1)
        expect(view.page.locator("[data-account='paper-a'] .label")).to_have_text("UNKNOWN")
        assert "grayscale" in view.page.locator("main").evaluate("node => getComputedStyle(node).filter")
        assert view.page.title().startswith("STALE")

        with served(ScriptedDesk(), server.port):
            expect(view.page.locator("main.stale")).to_have_count(0, timeout=10_000)
            expect(view.page.locator("[data-account='paper-a'] .label")).to_have_text("PAPER SIM")
            expect(view.page.locator(".stale-bar")).to_have_count(0)
        context.close()


def test_a_socket_that_is_open_and_silent_is_stale_and_then_given_up(view: View):
    board = view.server.desk.board
    view.tell(lambda: setattr(board, "publish", lambda: None))

    expect(view.page.locator("main.stale")).to_have_count(1, timeout=6_000)
    view.tell(lambda: delattr(board, "publish"))
    view.tell(board._queues.clear)     # the old socket stays open and silent

    expect(view.page.locator("main.stale")).to_have_count(0, timeout=12_000)


def test_a_position_without_its_whole_stop_stands_out(view: View):
    desk = view.server.desk
    view.tell(lambda: desk.board.position("paper-a", "MNQ", "2", "25104.25", "1", "25000", None, "-20", "demo"))

    card = view.page.locator("li.naked")
    expect(card).to_contain_text("1 of 2")
    expect(card).to_contain_text("stop ≠ position")
    expect(card.locator(".pnl")).to_have_text("−$20.00")


def test_an_alarm_stands_on_top_until_it_is_cleared(view: View):
    desk = view.server.desk
    view.tell(lambda: desk.board.alarm("naked", "critical", "MNQ in paper-a has no stop at the venue"))
    expect(view.page.get_by_role("alert")).to_contain_text("CRITICAL")

    view.tell(lambda: desk.board.alarm_cleared("naked"))
    expect(view.page.get_by_role("alert")).to_have_count(0)


def test_a_recording_shows_its_progress_and_what_was_dropped(view: View):
    desk = view.server.desk
    view.tell(lambda: desk.board.feed("data/MNQ.parquet", "playback", "playing", 0.25, 1200, {"bad_row": 3}))

    panel = view.page.get_by_role("region", name="Market data")
    expect(panel).to_contain_text("dropped: 3 bad row")
    assert panel.get_by_role("progressbar").get_attribute("value") == "0.25"


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_phone_has_everything_and_nothing_to_scroll_sideways(chromium: Browser, scheme: str):
    with viewing(chromium, viewport=PHONE, color_scheme=scheme, has_touch=True, is_mobile=True) as view:
        desk = view.server.desk
        view.tell(lambda: desk.verdict("MES", "paper-b", "demo", "truth", "truth." + "x" * 80, "y" * 120))
        view.tell(lambda: desk.board.alarm("long", "warning", "z" * 200))
        expect(view.page.get_by_role("alert")).to_be_visible()
        assert view.evaluate("document.documentElement.scrollWidth") <= 390
        view.page.get_by_role("button", name=re.compile("^Kill")).click()
        expect(view.page.get_by_role("dialog", name="Kill")).to_be_visible()
        assert view.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_theme_follows_the_system_until_it_is_chosen(view: View):
    def brightness() -> int:
        colour = view.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in re.findall(r"\d+", colour)[:3])

    expect(view.page.locator("html")).to_have_attribute("data-theme", "dark")
    assert brightness() < 120
    view.page.emulate_media(color_scheme="light")
    expect(view.page.locator("html")).to_have_attribute("data-theme", "light")
    assert brightness() > 650

    view.page.get_by_role("button", name="Dark theme").click()
    expect(view.page.locator("html")).to_have_attribute("data-theme", "dark")
    view.page.reload()
    expect(view.page.locator("html")).to_have_attribute("data-theme", "dark")


def test_text_can_be_read_in_both_themes(view: View):
    """WCAG 2.1 contrast of every colour that carries words, against each surface it stands on."""
    for scheme in ("dark", "light"):
        view.page.emulate_media(color_scheme=scheme)
        expect(view.page.locator("html")).to_have_attribute("data-theme", scheme)
        for ink in ("--text", "--soft", "--up", "--down", "--warn", "--accent", "--faint"):
            for paper in ("--panel", "--raised"):
                pair = view.evaluate(f"""['{ink}', '{paper}'].map(name =>
                    getComputedStyle(document.documentElement).getPropertyValue(name).trim())""")
                assert contrast(*pair) >= 4.5, f"{scheme}: {ink} on {paper} is {contrast(*pair):.2f}"


def contrast(a: str, b: str) -> float:
    def luminance(colour: str) -> float:
        if len(colour) == 4:           # the build shortens #ffffff to #fff
            colour = "#" + "".join(digit * 2 for digit in colour[1:])
        parts = (int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5))
        r, g, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * blue

    darker, lighter = sorted((luminance(a), luminance(b)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_keyboard_is_enough(view: View):
    page = view.page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.get_by_role("tab", name="MNQ").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="MES")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tab", name="MES")).to_be_focused()
    nameless = view.evaluate("""[...document.querySelectorAll('button, select, input, a')].filter(node =>
        !(node.innerText || node.ariaLabel || node.title || node.labels?.length || node.closest('dialog'))).length""")
    assert nameless == 0
