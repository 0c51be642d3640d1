"""The projection behind the page: what it keeps, how it ages, and that it never waits for a page."""

import asyncio
import json
import time
from typing import Any

import pytest

from interlock.model.money import MINUTE, SECOND
from interlock.runtime.board import BARS_KEPT, ORDERS_KEPT, QUEUE_BOUND, VERDICTS_KEPT, Board

NOON = 1_772_461_800 * SECOND


class Hands:
    """A clock and a stopwatch that are set by hand."""

    def __init__(self) -> None:
        self.ts = NOON
        self.ticks = 0

    def now(self) -> int:
        return self.ts

    def monotonic(self) -> int:
        return self.ticks


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def board(hands: Hands) -> Board:
    return Board(hands.now, monotonic=hands.monotonic)


def heard(board: Board, name: str = "paper-a", ts_proof: int | None = NOON, truth: str = "paper_sim") -> None:
    board.account(name, mode="paper", truth=truth, ts_proof=ts_proof, evidence="answered a ping", enabled=True,
                  equity="50000")


def order(key: str, state: str) -> dict[str, Any]:
    return {"client_order_id": key, "state": state, "account": "paper-a", "instrument": "MNQ"}


def truth_of(board: Board) -> tuple[str, str]:
    [account] = board.snapshot()["accounts"]
    return account["truth"], account["evidence"]


@pytest.mark.parametrize(("age", "label", "evidence"), [
    (0, "paper_sim", "answered a ping"),
    (9 * SECOND, "paper_sim", "answered a ping"),
    (9 * SECOND + SECOND // 2 + 1, "unknown", "last proof 9 s ago"),
    (12 * SECOND, "unknown", "last proof 12 s ago"),
    (-5 * SECOND, "unknown", "last proof lies in the future"),
])
def test_a_label_lasts_as_long_as_its_proof(board: Board, hands: Hands, age: int, label: str, evidence: str):
    heard(board, ts_proof=NOON)

    hands.ts = NOON + age

    assert truth_of(board) == (label, evidence)


def test_an_account_that_was_never_heard_is_unknown(board: Board):
    heard(board, ts_proof=None)

    assert truth_of(board)[0] == "unknown"


def test_a_fresh_proof_does_not_make_an_unknown_account_known(board: Board):
    heard(board, truth="unknown")

    assert truth_of(board)[0] == "unknown"


def test_a_new_proof_brings_the_label_back(board: Board, hands: Hands):
    heard(board)
    hands.ts += 20 * SECOND
    assert truth_of(board)[0] == "unknown"

    board.proof("paper-a", hands.ts)

    assert truth_of(board) == ("paper_sim", "answered a ping")


def test_a_fading_label_reaches_the_pages_without_any_message_from_the_runtime(board: Board, hands: Hands):
    async def story() -> list[str]:
        heard(board)
        queue = board.subscribe()
        board.publish()
        hands.ts += 10 * SECOND        # the stopwatch stands: nothing but the label's age has changed
        board.publish()
        return [change["accounts"][0]["truth"] for change in drained(queue)]

    assert asyncio.run(story()) == ["paper_sim", "unknown"]


def test_ages_are_pushed_each_second_and_not_more_often(board: Board, hands: Hands):
    async def story() -> int:
        heard(board)
        queue = board.subscribe()
        for _ in range(30):            # three seconds in tenths
            board.publish()
            hands.ticks += SECOND // 10
            hands.ts += SECOND // 10
        return len(drained(queue))

    assert asyncio.run(story()) == 3


def test_a_quote_shows_its_source_and_age(board: Board, hands: Hands):
    board.quote("MNQ", "25104.25", "25104.50", "7", "9", NOON, "simulated")

    hands.ts += 1_500_000_000

    assert board.snapshot()["quotes"]["MNQ"] == {
        "bid": "25104.25", "ask": "25104.50", "bid_size": "7", "ask_size": "9", "ts": NOON, "age_ms": 1500,
        "provenance": "simulated"}


def test_a_thousand_quotes_between_two_pushes_are_one_message_with_the_last_one(board: Board):
    async def story() -> list[dict[str, Any]]:
        queue = board.subscribe()
        for i in range(1000):
            board.quote("MNQ", str(i), str(i + 1), "1", "1", NOON, "live")
        board.publish()
        return drained(queue)

    [change] = asyncio.run(story())

    assert change["quotes"]["MNQ"]["bid"] == "999"


def test_every_bar_and_verdict_between_two_pushes_arrives_in_order(board: Board):
    async def story() -> list[dict[str, Any]]:
        queue = board.subscribe()
        for i in range(5):
            board.bar("MNQ", NOON + i * MINUTE, "1", "2", "1", "2", "10", "live")
            board.verdict({"signal_id": f"s{i}", "result": "cleared", "checks": []})
        board.publish()
        return drained(queue)

    [change] = asyncio.run(story())

    assert [bar[0] for bar in change["bars"]["MNQ"]] == [NOON + i * MINUTE for i in range(5)]
    assert [verdict["signal_id"] for verdict in change["verdicts"]] == [f"s{i}" for i in range(5)]


def test_a_page_that_joins_gets_each_fact_once(board: Board):
    async def story() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        first = board.subscribe()
        board.verdict({"signal_id": "before", "result": "cleared", "checks": []})
        queue = board.subscribe()
        snapshot = board.snapshot()
        board.verdict({"signal_id": "after", "result": "cleared", "checks": []})
        board.publish()
        assert [change["verdicts"][0]["signal_id"] for change in drained(first)] == ["before", "after"]
        return snapshot, drained(queue)

    snapshot, [change] = asyncio.run(story())

    assert [verdict["signal_id"] for verdict in snapshot["verdicts"]] == ["before"]
    assert [verdict["signal_id"] for verdict in change["verdicts"]] == ["after"]
    assert change["seq"] == snapshot["seq"] + 1


def test_a_page_that_does_not_read_is_told_to_begin_again_and_the_others_go_on(board: Board):
    async def story() -> None:
        slow, quick = board.subscribe(), board.subscribe()
        seen = 0
        for i in range(QUEUE_BOUND + 10):
            board.quote("MNQ", str(i), str(i), "1", "1", NOON, "live")
            board.publish()
            seen += len(drained(quick))
        assert drained(slow) == [{"type": "resync"}]
        assert seen == QUEUE_BOUND + 10

    asyncio.run(story())


def test_histories_are_bounded_and_keep_the_newest(board: Board):
    for i in range(BARS_KEPT + 50):
        board.bar("MNQ", NOON + i * MINUTE, "1", "2", "1", "2", "10", "live")
    for i in range(VERDICTS_KEPT + 50):
        board.verdict({"signal_id": str(i), "result": "cleared", "checks": []})

    bars = board.bars("MNQ")
    assert bars is not None
    assert len(bars) == BARS_KEPT
    assert bars[-1][0] == NOON + (BARS_KEPT + 49) * MINUTE
    assert len(board.verdicts()) == VERDICTS_KEPT
    assert board.verdicts()[-1]["signal_id"] == str(VERDICTS_KEPT + 49)


def test_closed_orders_make_room_and_an_open_one_never_leaves(board: Board):
    board.order(order("the-open-one", "working"))
    for i in range(ORDERS_KEPT + 20):
        board.order(order(str(i), "working"))
        board.order(order(str(i), "closed"))
        board.order(order(str(i), "closed"))           # reports may come twice

    kept = {row["client_order_id"] for row in board.orders()}

    assert "the-open-one" in kept
    assert len(kept) == ORDERS_KEPT + 1
    assert "19" not in kept
    assert "20" in kept


def test_an_order_that_left_before_the_push_does_not_break_it(board: Board):
    async def story() -> list[dict[str, Any]]:
        queue = board.subscribe()
        for i in range(ORDERS_KEPT + 5):
            board.order(order(str(i), "closed"))
        board.publish()
        return drained(queue)

    [change] = asyncio.run(story())

    assert len(change["orders"]) == ORDERS_KEPT


def test_a_position_of_quantity_zero_leaves_the_board(board: Board):
    board.position("paper-a", "MNQ", "2", "25104.25", "2", pnl="12.5")
    board.mark("paper-a", "MNQ", "-3", "100417")
    assert board.positions()[0]["pnl"] == "-3"

    board.position("paper-a", "MNQ", "0", "25104.25", "0")
    board.mark("paper-a", "MNQ", "5")                  # a mark that comes late brings nothing back

    assert board.positions() == []


def test_an_alarm_keeps_its_first_time_until_it_is_cleared(board: Board, hands: Hands):
    board.alarm("naked.MNQ", "critical", "2 of 2 without a stop")
    hands.ts += SECOND
    board.alarm("naked.MNQ", "critical", "1 of 2 without a stop")

    assert board.snapshot()["alarms"] == [
        {"key": "naked.MNQ", "severity": "critical", "text": "1 of 2 without a stop", "ts": NOON}]

    board.alarm_cleared("naked.MNQ")
    assert board.snapshot()["alarms"] == []


def test_latches_are_shown_each_by_its_reach(board: Board):
    board.killed("everything", "drill", NOON)
    board.killed("lane futures", "news", NOON, cancelled=3, at_risk="1000")

    board.released("everything")
    assert [latch["reach"] for latch in board.snapshot()["killed"]] == ["lane futures"]

    board.killed(None)
    assert board.snapshot()["killed"] == []


def test_a_snapshot_is_plain_json(board: Board):
    heard(board)
    board.instrument("MNQ", tick="0.25", multiplier="2")
    board.lane("futures", "paper", [{"name": "demo", "kind": "alerts", "fires_left": 3}], ["paper-a"])
    board.bar("MNQ", NOON, "1", "2", "1", "2", "10", "live")
    board.position("paper-a", "MNQ", "2", "25104.25", "2")
    board.feed("file", "playback", "running", 0.5, 10, {"bad_row": 1})
    board.decision("hold")

    snapshot = board.snapshot()

    assert json.loads(json.dumps(snapshot)) == snapshot


def test_an_unknown_instrument_has_no_bars_and_a_known_one_without_any_has_an_empty_list(board: Board):
    board.instrument("MNQ", tick="0.25", multiplier="2")

    assert board.bars("MNQ") == []
    assert board.bars("GC") is None


def test_a_quote_costs_the_runtime_at_most_five_microseconds(board: Board):
    def batch() -> float:
        began = time.perf_counter()
        for _ in range(5_000):
            board.quote("MNQ", "25104.25", "25104.50", "7", "9", NOON, "live")
        return (time.perf_counter() - began) / 5_000

    assert min(batch() for _ in range(7)) <= 5e-6


def drained(queue: asyncio.Queue[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    while not queue.empty():
        found.append(queue.get_nowait())
    return found
