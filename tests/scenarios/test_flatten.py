"""A person's flatten: every account at once, by its broker's own word, and honest about what it could not close."""

from decimal import Decimal

import pytest
from tests.scenarios.desk import Desk, configured, fault
from tests.scenarios.test_when_things_go_wrong import BOTH, EMULATED, PROTECTED, alarms, by_hand

from interlock.brokers.paper.acceptance import refusal
from interlock.engine.questions import digest_of, positions_state
from interlock.model.command import Flatten, FlattenBegun, FlattenEnded, Kill
from interlock.model.ids import AccountName
from interlock.model.record import Alarm, Attempt, ReadRequested
from interlock.model.signal import Purpose, Side
from interlock.model.verdict import Verdict

A, B = (AccountName(name) for name in BOTH)


def flatten(desk, account=None, instrument=None, why="going home"):
    """As a person gives it who has just looked at the positions."""
    seen = digest_of(positions_state(desk.built.engine, account, instrument))
    return desk.command(Flatten(why=why, account=account, instrument=instrument, seen=seen))


def results(desk) -> list[tuple[str, str, str, str]]:
    return [(each.account, each.instrument, each.result, str(each.quantity)) for each in desk.entries(FlattenEnded)]


def closes(desk) -> list[Attempt]:
    return [each for each in desk.entries(Attempt) if each.order.purpose is Purpose.FLATTEN]


def entered(desk_of, text=None, **more) -> Desk:
    desk: Desk = desk_of(text, **more)
    desk.post(desk.alert())
    desk.go(3)
    assert desk.positions() == PROTECTED
    return desk


@pytest.mark.parametrize("text", [None, configured(replace=EMULATED)], ids=["linked", "emulated"])
def test_every_position_is_closed_and_its_flatness_is_the_brokers_word(desk_of, text):
    desk = entered(desk_of, text)

    told = flatten(desk)
    desk.go(5)

    assert set(told["accounts"]) == set(BOTH)
    assert sorted(results(desk)) == [(A, "MES", "flat", "0"), (B, "MES", "flat", "0")]
    assert desk.booked() == {}
    assert {row["state"] for row in desk.orders()} == {"closed"}
    begun = desk.entries(FlattenBegun)[0]
    verdicts = [each.view.decision for each in desk.entries(Verdict) if each.asked.intent.purpose is Purpose.FLATTEN]
    assert len(closes(desk)) == 2
    assert {each and each.command for each in verdicts} == {begun.command}, "the order names the command in the journal"
    assert {each and each.who for each in verdicts} == {"test"}


def test_one_account_or_one_instrument_leaves_the_rest_alone(desk_of):
    desk = entered(desk_of)
    by_hand(desk, A, Side.BUY, symbol="MNQ")
    desk.go(1)

    flatten(desk, A, "MES")
    desk.go(5)

    assert results(desk) == [(A, "MES", "flat", "0")]
    assert desk.booked() == {(A, "MNQ"): "1", (B, "MES"): "1"}
    assert desk.positions()[B, "MES"] == ("1", "1")


def test_what_somebody_else_bought_is_closed_too_at_the_size_that_the_broker_shows(desk_of):
    desk = entered(desk_of)
    by_hand(desk, A, Side.BUY, "2", symbol="MNQ")
    by_hand(desk, B, Side.BUY, "2")
    desk.go(70)
    assert "drift.paper-a" in alarms(desk)

    flatten(desk)
    desk.go(6)

    assert desk.booked() == {}
    assert sorted(results(desk)) == [(A, "MES", "flat", "0"), (A, "MNQ", "flat", "0"), (B, "MES", "flat", "0")]
    assert [str(each.order.parent.quantity) for each in closes(desk) if each.order.account == B] == ["3"]


def test_it_works_while_killed_and_disabled(desk_of):
    from interlock.model.command import DisableAccount
    desk = entered(desk_of)
    desk.command(Kill(why="news", scope="all"))
    desk.command(DisableAccount(A, "off"))
    desk.go(3)

    flatten(desk)
    desk.go(5)

    assert desk.booked() == {}
    assert {result for *_, result, _ in results(desk)} == {"flat"}


def test_an_account_that_cannot_be_read_is_unknown_and_holds_up_no_other(desk_of):
    desk = entered(desk_of)
    broker = desk.safe(B)._broker
    read = broker.read

    async def fails(account):
        if account == B:
            from interlock.errors import OutcomeUnknown
            raise OutcomeUnknown("the line is dead")
        return await read(account)

    broker.read = fails  # type: ignore[method-assign]
    flatten(desk)
    asked = [each.account for each in desk.entries(ReadRequested) if each.why == "flatten"]
    assert asked[:2] == [A, B], "both in the same instant"
    desk.go(3)
    assert results(desk) == [(A, "MES", "flat", "0")], "the other one does not wait"
    desk.go(12)

    assert results(desk)[1:] == [(B, "", "unknown", "0")]
    assert desk.booked() == {(B, "MES"): "1"}
    assert desk.positions()[B, "MES"] == ("1", "1"), "its protection was left where it is"
    assert f"flatten.{B}" in alarms(desk)
    desk.go(70)
    assert f"flatten.{B}#2" in alarms(desk), "and called out again"


def test_rejected_closes_are_tried_again_and_then_said_to_be_left(desk_of):
    desk = entered(desk_of, configured(more=""))
    venue = desk.paper.venue
    handle = venue.handle

    def refuses(kind, body):
        if kind == "place" and b'"exit"' in body:
            body = body.replace(b'"symbol":"MES"', b'"symbol":"NONE"')
        return handle(kind, body)

    venue.handle = refuses  # type: ignore[method-assign, assignment]
    flatten(desk, A)
    desk.go(50)

    assert results(desk) in ([(A, "MES", "residual", "1")], [(A, "MES", "unknown", "0")])
    assert f"flatten.{A}.MES" in alarms(desk)
    assert len({each.client_order_id for each in closes(desk)}) == len(closes(desk)) <= 5


def test_a_stop_that_fills_meanwhile_is_not_followed_by_a_close(desk_of):
    desk = entered(desk_of, configured(replace=EMULATED, more=fault("cancel", "fill_on_cancel", nth=0)))

    flatten(desk)
    desk.go(6)

    assert desk.booked() == {}
    assert closes(desk) == []
    assert {result for *_, result, _ in results(desk)} == {"flat"}


def test_a_crash_in_the_middle_goes_on_and_closes_once(desk_of):
    desk = entered(desk_of)
    flatten(desk)
    desk.crash()

    desk = desk.again()
    desk.go(12)

    assert desk.booked() == {}
    assert sorted(results(desk)) == [(A, "MES", "flat", "0"), (B, "MES", "flat", "0")]
    assert sum(Decimal(quantity) for (quantity,) in desk.in_book("SELECT quantity FROM executions WHERE side = 'sell'")) == 2
    desk.crash()


def test_a_second_command_is_refused_while_the_first_goes_on(desk_of):
    desk = entered(desk_of)
    flatten(desk)

    assert flatten(desk)["code"] == "command.flatten_under_way"
    desk.go(5)
    assert flatten(desk)["ok"]
    desk.go(1)
    assert {each[1:] for each in results(desk)[2:]} == {("", "flat", "0")}, "there was nothing left"
    assert [alarm for alarm in desk.entries(Alarm) if alarm.key.startswith("flatten.")] == []


def test_a_wider_flatten_over_a_narrower_one_counts_its_tries_too(desk_of, monkeypatch):
    """A venue that refuses every close is not asked for ever."""
    import interlock.brokers.paper.desk as venue
    desk = entered(desk_of)
    monkeypatch.setattr(venue, "refusal", lambda frame, *rest: "not today" if frame.legs[0].purpose is Purpose.FLATTEN
                        else refusal(frame, *rest))
    flatten(desk, A, "MES")
    desk.go(0.5)

    assert flatten(desk, A)["ok"]
    desk.go(70)

    assert len(closes(desk)) <= 10, "five of each command at most"
    assert results(desk) == [(A, "MES", "residual", "1")]
    assert "flatten.paper-a.MES" in alarms(desk)
