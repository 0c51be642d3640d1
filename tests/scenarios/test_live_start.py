"""A live desk: two keys, a configuration that is live through and through, and a person who confirms each account."""

from decimal import Decimal

import pytest
from tests.scenarios.live import AT_LIVE, AT_PAPER, NUMBER, PERSON, bearer, confirm, live_text, look

from interlock.config.load import load_text
from interlock.errors import ConfigError
from interlock.model.account import Mode
from interlock.model.command import AccountConfirmed, ConfirmAccount, LiveDeclined
from interlock.model.ids import AccountName
from interlock.model.record import Attempt, ConfigRead, LiveStarted
from interlock.runtime.live import PHRASE, Start

BOTH = ("live-a", "live-b")


@pytest.fixture
def live_desk(desk_of):
    return lambda **more: desk_of(live_text(), **({"start": PERSON, "connect": AT_LIVE} | more))


def test_nothing_enters_before_each_account_is_confirmed_and_then_it_does(live_desk):
    desk = live_desk()
    desk.go(2)
    early = desk.post(desk.alert())
    desk.go(2)

    assert set(desk.codes(early.signal_id)) == set(BOTH)
    assert "cleared" not in desk.codes(early.signal_id).values()
    assert desk.order_bytes == 0, "not a byte of an order has left"

    assert confirm(desk, "live-a").body["ok"]
    desk.go(60)
    late = desk.post(desk.alert())
    desk.go(2)

    assert desk.codes(late.signal_id)["live-a"] == "cleared"
    assert desk.codes(late.signal_id)["live-b"] != "cleared", "each account is confirmed by itself"
    assert desk.booked() == {("live-a", "MES"): "1"}
    assert desk.positions() == {("live-a", "MES"): ("1", "1")}


def test_what_is_shown_is_the_brokers_own_and_who_confirmed_it_is_on_record(live_desk):
    desk = live_desk()
    desk.go(2)

    shown = look(desk, "live-a")
    answer = confirm(desk, "live-a")

    assert (shown["number"], shown["net_liquidation"], shown["confirmed"]) == (NUMBER, "50000", False)
    assert shown["endpoint"] == "live"
    assert answer.body["number"] == NUMBER
    (confirmed,) = desk.entries(AccountConfirmed)
    assert (confirmed.number, confirmed.net_liquidation, confirmed.who, confirmed.origin, confirmed.digest) == (
        NUMBER, Decimal(50_000), "127.0.0.1", "page", shown["digest"])
    (began,) = desk.entries(LiveStarted)
    assert (began.is_watch, began.who, began.where) == (False, "alice", "/dev/pts/1")


def test_a_wrong_number_is_refused_and_then_has_to_wait(live_desk):
    desk = live_desk()
    desk.go(2)

    codes = [confirm(desk, "live-a", typed="PAPER-0001").code for _ in range(4)]
    assert codes == ["confirm.number"] * 3 + ["confirm.too_often"]
    assert confirm(desk, "live-a").code == "confirm.too_often", "the right number waits too"

    desk.go(61)
    assert confirm(desk, "live-a").body["ok"]


def test_only_part_of_the_number_or_another_accounts_is_wrong(live_desk):
    desk = live_desk()
    desk.go(2)

    for typed in (NUMBER[:-1], NUMBER.lower(), "PAPER-0002-live-b"):
        assert confirm(desk, "live-a", typed=typed).code in ("confirm.number", "confirm.too_often")
    assert look(desk, "live-a")["confirmed"] is False


def test_what_was_shown_longer_than_ten_seconds_ago_confirms_nothing(live_desk):
    desk = live_desk()
    desk.go(2)
    shown = look(desk, "live-a")
    desk.go(11)

    body = f'{{"account": "live-a", "typed": "{NUMBER}", "seen": "{shown["digest"]}"}}'.encode()
    late = desk.http("POST", "/api/confirm", body, headers=bearer(desk))

    assert late.status == 409
    assert late.code == "confirm.expired"


def test_another_digest_than_the_shown_one_confirms_nothing(live_desk):
    desk = live_desk()
    desk.go(2)

    assert confirm(desk, "live-a", seen="0" * 16).code == "confirm.moved"


def test_a_confirmation_needs_the_page_token_and_somebody_who_sits_there(live_desk):
    desk = live_desk()
    desk.go(2)
    shown = look(desk, "live-a")

    body = f'{{"account": "live-a", "typed": "{NUMBER}", "seen": "{shown["digest"]}"}}'.encode()
    assert desk.http("POST", "/api/confirm", body).status == 401
    assert desk.command(ConfirmAccount(AccountName("live-a"), NUMBER, shown["digest"]))["code"] == "confirm.origin"


def test_each_start_asks_anew(live_desk):
    desk = live_desk()
    desk.go(2)
    assert confirm(desk, "live-a").body["ok"]
    assert confirm(desk, "live-a").code == "confirm.done"
    desk.stop()

    again = desk.again()
    again.go(2)
    refused = again.post(again.alert())
    again.go(2)

    assert look(again, "live-a")["confirmed"] is False
    assert "cleared" not in again.codes(refused.signal_id).values()
    assert again.order_bytes == 0
    again.crash()


def test_declining_ends_the_desk_and_is_on_record(live_desk):
    desk = live_desk()
    desk.go(2)

    async def decline():
        from interlock.model.command import DeclineLive
        from interlock.runtime.inbox import CommandDoor

        answer = await CommandDoor(desk.built.desk.inbox).submit(DeclineLive(), who="alice", origin="page")
        await desk._driving
        return answer

    assert desk.run(decline()) == {"ok": True, "declined": True}
    assert desk.service.declined_by == LiveDeclined("alice", "page")
    desk.built.close("declined")
    assert desk.entries(Attempt) == []


@pytest.mark.parametrize(("start", "missing"), [
    (Start("alice", "/dev/pts/1"), "INTERLOCK_LIVE is not set"),
    (Start("alice", "/dev/pts/1", "yes"), "exactly INTERLOCK_LIVE=I_MEAN_IT"),
    (Start("alice", "/dev/pts/1", "i_mean_it"), "exactly INTERLOCK_LIVE=I_MEAN_IT"),
])
def test_without_the_phrase_a_person_is_told_what_is_missing(live_desk, start, missing):
    with pytest.raises(ConfigError, match=missing):
        live_desk(start=start)


def test_the_phrase_leaves_a_paper_desk_on_paper_and_says_so(desk_of):
    desk = desk_of(start=PERSON)

    assert any("is on paper" in note for note in desk.built.notes)
    assert desk.service._loaded.config.desk.mode == Mode.PAPER.value
    assert confirm_is_nothing(desk)


def confirm_is_nothing(desk) -> bool:
    reply = desk.http("GET", "/api/confirm", headers=bearer(desk))
    return bool(reply.body == {"mode": "paper", "watch": False, "accounts": []})


def test_a_paper_desk_at_a_live_endpoint_ends_before_any_order(desk_of):
    with pytest.raises(ConfigError, match="the broker answers from its live environment"):
        desk_of(connect=AT_LIVE)


def test_a_live_desk_at_a_paper_endpoint_ends_before_any_order(live_desk, tmp_path):
    with pytest.raises(ConfigError, match="the broker answers from its paper environment"):
        live_desk(connect=AT_PAPER)


def test_another_account_than_the_configured_one_ends_the_desk(desk_of):
    with pytest.raises(ConfigError, match="names account U1, the broker answers for PAPER-0001-live-a"):
        desk_of(live_text(**{f'number = "{NUMBER}"': 'number = "U1"'}), start=PERSON, connect=AT_LIVE)


def test_a_paper_journal_is_never_gone_on_with_live(desk_of):
    paper = desk_of()
    paper.stop()

    with pytest.raises(ConfigError, match="was begun in mode paper and stays so"):
        paper.again(text=live_text(), start=PERSON, connect=AT_LIVE)


def test_a_changed_configuration_starts_live_only_when_its_digest_is_approved(live_desk):
    desk = live_desk()
    desk.stop()
    changed = live_text(**{'risk_per_trade = "120"': 'risk_per_trade = "119"'})
    digest = load_text(changed, "changed", {}).digest

    with pytest.raises(ConfigError, match=rf'gate\.risk_per_trade: was "120", is "119".*--approve {digest}'):
        desk.again(text=changed)
    with pytest.raises(ConfigError, match="--approve gave 00000000, which is another"):
        desk.again(text=changed, start=Start("alice", "/dev/pts/1", PHRASE, approved="00000000"))

    approved = desk.again(text=changed, start=Start("alice", "/dev/pts/1", PHRASE, approved=digest))
    assert [entry.approved for entry in approved.entries(LiveStarted)] == ["", digest]
    assert len(approved.entries(ConfigRead)) == 2
    approved.crash()


def test_a_paper_desk_takes_a_changed_configuration_as_it_is(desk_of):
    desk = desk_of()
    desk.stop()

    again = desk.again(text=(desk.directory / "interlock.toml").read_text().replace('risk_per_trade = "120"',
                                                                                    'risk_per_trade = "119"'))
    assert len(again.entries(ConfigRead)) == 2
    again.crash()
