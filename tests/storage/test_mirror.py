"""The mirrors say what the journal says, can be made anew, and never stand in the way."""

import json
import stat
from decimal import Decimal as D
from pathlib import Path
from typing import Any, cast

import pytest
from tests.storage.chains import an_alarm

from interlock.model.account import ClosedTrade
from interlock.model.command import Killed
from interlock.model.entry import Payload
from interlock.model.ids import (
    AccountName,
    BrokerOrderId,
    ClientOrderId,
    ExecutionId,
    LaneName,
    SignalId,
    StrategyName,
)
from interlock.model.order import Leg, Order, OrderType, Profile
from interlock.model.record import Attempt
from interlock.model.report import OrderAccepted, OrderFilled, WriteRefused
from interlock.model.signal import AccountIntent, Intent, Purpose, Side, Source
from interlock.model.verdict import Cleared, Refused, Sized, Verdict
from interlock.model.view import GateView
from interlock.storage.journal import Journal
from interlock.storage.memory import MemoryStore
from interlock.storage.mirror import Mirror

A = AccountName("paper-1")
TS = 1_736_951_400_123_456_789         # 2025-01-15 14:30:00.123456789 UTC


def an_order(key: str) -> Order:
    leg = Leg(client_order_id=ClientOrderId(key), role="entry", purpose=Purpose.ENTER, side=Side.BUY, quantity=D(2),
              type=OrderType.LIMIT, limit=D("20000.25"))
    return Order(account=A, instrument="MNQ", venue_symbol="MNQH5", legs=(leg,), signal_id=SignalId("s1"),
                 lane=LaneName("futures"), strategy=StrategyName("drive"))


def a_trade() -> ClosedTrade:
    return ClosedTrade(account=A, instrument="MNQ", lane=LaneName("futures"), strategy=StrategyName("drive"),
                       source=Source.BARS, signal_id=SignalId("s1"), side=Side.BUY, quantity=D(2),
                       entry_price=D("20000.25"), exit_price=D("20010.25"), gross=D(40), commission=D("1.48"),
                       net=D("38.52"), risk=D("19.26"), is_stop_out=False, ts_opened=TS, ts_closed=TS + 1)


DAY: tuple[Payload, ...] = (
    an_alarm(1),
    Attempt(ClientOrderId("a"), 1, an_order("a"), D("19.26")),
    OrderAccepted(A, ClientOrderId("a"), BrokerOrderId("b1"), TS),
    OrderFilled(A, ClientOrderId("a"), ExecutionId("x1"), "MNQ", Side.BUY, D(2), D("20000.25"), D("0.74"), TS),
    Attempt(ClientOrderId("b"), 1, an_order("b"), D(0)),
    WriteRefused(A, ClientOrderId("b"), 1, "limit.rate", "6 orders in a minute, 5 allowed"),
    a_trade(),
    Killed(None, None, "risk", "a person", 3, ("a",), (("paper-1", "MNQ", "2"),)),
)


def lived(directory: Path, store: MemoryStore, payloads: tuple[Payload, ...] = DAY) -> Mirror:
    journal, mirror = Journal(store), Mirror(directory)
    for payload in payloads:
        seq, _ = journal.append(TS, payload)
        store.commit(journal.seal())
        assert mirror.add([(seq, TS, payload)]) is None
    return mirror


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_event_is_a_line_with_its_time(tmp_path: Path):
    lived(tmp_path, MemoryStore())

    orders = lines(tmp_path / "orders.jsonl")

    assert [(line["seq"], line["event"]) for line in orders] == [
        (2, "attempt"), (3, "order_accepted"), (4, "order_filled"), (5, "attempt"), (6, "write_refused"), (8, "killed")]
    assert {line["time"] for line in orders} == {"2025-01-15T14:30:00.123456789Z"}
    assert orders[0]["order"]["legs"][0]["limit"] == "20000.25"
    assert orders[0]["account"] == "paper-1"
    assert orders[5]["orders_to_cancel"] == ["a"]


def test_a_refused_write_shows_its_reason_and_the_order_that_was_not_sent(tmp_path: Path):
    lived(tmp_path, MemoryStore())

    refused = lines(tmp_path / "orders.jsonl")[4]

    assert (refused["code"], refused["reason"]) == ("limit.rate", "6 orders in a minute, 5 allowed")
    assert refused["order"]["legs"][0]["client_order_id"] == "b"
    assert refused["order"]["legs"][0]["quantity"] == "2"


def test_a_closed_trade_goes_to_the_file_of_trades_alone(tmp_path: Path):
    lived(tmp_path, MemoryStore())

    (trade,) = lines(tmp_path / "trades.jsonl")

    assert (trade["net"], trade["r_multiple"], trade["side"]) == ("38.52", "2", "buy")


def test_its_files_are_for_their_owner_alone(tmp_path: Path):
    lived(tmp_path, MemoryStore())

    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_rebuilt_mirror_is_the_one_that_was_lived(tmp_path: Path):
    store = MemoryStore()
    lived(tmp_path, store)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "orders.jsonl").write_text("scribbles")

    assert Mirror(tmp_path).rebuild(store) is None

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("left", [0, 1, 250, 900, 100_000])
def test_a_mirror_that_fell_behind_catches_up(tmp_path: Path, left: int):
    store = MemoryStore()
    lived(tmp_path, store)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:left])

    assert Mirror(tmp_path).catch_up(store) is None

    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    order = json.loads(before["orders.jsonl"].splitlines()[4])
    assert {name: [json.loads(line)["seq"] for line in body.splitlines()] for name, body in after.items()} == {
        "orders.jsonl": [2, 3, 4, 5, 6, 8], "trades.jsonl": [7]}
    assert order["seq"] == 6


def test_a_mirror_that_cannot_be_written_is_reported_and_raises_nothing(tmp_path: Path):
    directory = tmp_path / "gone"
    mirror = Mirror(directory)

    error = mirror.add([(2, TS, DAY[1])])

    assert error is not None
    assert error.name == "mirror.behind"
    assert "behind the journal" in error.why
    assert mirror.rebuild(MemoryStore()) is not None


def test_a_mirror_that_missed_a_line_writes_none_after_it_until_it_has_caught_up(tmp_path: Path):
    directory = tmp_path / "state"
    store = MemoryStore()
    journal, mirror = Journal(store), Mirror(directory)
    for payload in DAY:
        journal.append(TS, payload)
    store.commit(journal.seal())
    numbered = [(seq, TS, payload) for seq, payload in enumerate(DAY, 1)]
    assert mirror.add(numbered[:3]) is not None

    directory.mkdir()

    assert mirror.add(numbered[3:]) is not None
    assert list(directory.iterdir()) == []
    assert mirror.catch_up(store) is None
    assert [line["seq"] for line in lines(directory / "orders.jsonl")] == [2, 3, 4, 5, 6, 8]
    assert mirror.add([(9, TS, DAY[-1])]) is None
    assert lines(directory / "orders.jsonl")[-1]["seq"] == 9


def test_a_refused_verdict_is_a_line_with_reason_and_intent_and_a_cleared_one_is_none(tmp_path: Path):
    intent = Intent(signal_id=SignalId("s1"), lane=LaneName("futures"), strategy=StrategyName("drive"),
                    source=Source.BARS, instrument="MNQ", side=Side.BUY, purpose=Purpose.ENTER, why="a trend",
                    ts_decided=TS, stop=D("19990"))
    sized = Sized(instrument="MNQ", quantity=D(2), risk=D(41), risk_per_unit=D("20.5"), why="risk")

    def verdict(result: Cleared | Refused) -> Verdict:
        return Verdict(signal_id=SignalId("s1"), account=A, profile=Profile.ENTER, asked=AccountIntent(intent, A),
                       view=cast(GateView, None), answers=(), result=result, config="c", checks="k")

    mirror = Mirror(tmp_path)
    mirror.add([(1, TS, verdict(Cleared(sized, an_order("a")))),
                (2, TS, verdict(Refused(sized, "over_limit", "notional 80002 is above 50000")))])

    (line,) = lines(tmp_path / "orders.jsonl")
    assert {key: line[key] for key in ("seq", "event", "account", "code", "reason", "time")} == {
        "seq": 2, "event": "refused", "account": "paper-1", "code": "over_limit",
        "reason": "notional 80002 is above 50000", "time": "2025-01-15T14:30:00.123456789Z"}
    assert (line["intent"]["stop"], line["sized"]["quantity"]) == ("19990", "2")


def test_scribbles_in_a_mirror_are_reported(tmp_path: Path):
    (tmp_path / "orders.jsonl").write_text("scribbles\n")

    error = Mirror(tmp_path).catch_up(MemoryStore())

    assert error is not None
    assert error.name == "mirror.unreadable"
    assert "rebuild" in error.why
