"""The shipped configuration on the simulated market: a sample alert at a random instant of a week ends filled and protected on
both accounts within three seconds, and the bar strategy trades through a week with results of both signs.

INTERLOCK_INSTANTS sets how many instants are tried (the full acceptance figure is 50; a test run tries a few).
"""

import asyncio
import os
import random
from decimal import Decimal

import pytest

from interlock.config import build
from interlock.config.load import load_default
from interlock.intake.pine import sample
from interlock.model.ids import LaneName
from interlock.model.market import Quote
from interlock.model.money import DAY, SECOND
from interlock.model.order import Closed, Outcome
from interlock.model.signal import AlertReceived
from interlock.records import order_row, position_rows
from interlock.runtime.clock import VIRTUAL, PlaybackClock
from interlock.runtime.replay import HISTORY, MONDAY, replay
from interlock.runtime.sources import SimulatedMarketplace
from interlock.runtime.wiring import build_desk, memory_place

INSTANTS = int(os.environ.get("INTERLOCK_INSTANTS", "4"))


def instants(count: int) -> list[int]:
    """Random instants of the week that lie outside the market's seeded halts and the seconds around them."""
    loaded = load_default()
    table, feed = loaded.config.table(), loaded.config.feeds.simulated
    market = SimulatedMarketplace(feed.seed, [table[symbol] for symbol in feed.instruments], start=0).market
    draw = random.Random(2023)
    found: list[int] = []
    while len(found) < count:
        ts = MONDAY + draw.randrange(7 * DAY)
        if not market.disturbed("MES", ts - SECOND, ts + 5 * SECOND):
            found.append(ts)
    return found


class WithAlert:
    """A market that hands a sample alert to the desk a second after its start."""

    def __init__(self, market, submit):
        self._market, self._submit, self._is_due = market, submit, True
        self.name = market.name
        self.rows = 0

    def peek(self):
        return self._market.peek()

    def share(self):
        return 0.0

    def take(self):
        message = self._market.take()
        if self._is_due and isinstance(message, Quote) and message.ts_recv >= self._submit.ts:
            self._is_due = False
            self._submit()
        return message


@pytest.mark.parametrize("start", instants(INSTANTS))
def test_a_sample_alert_ends_filled_and_protected_on_both_accounts_within_three_seconds(start):
    loaded = load_default()
    table, feed = loaded.config.table(), loaded.config.feeds.simulated
    instruments = [table[symbol] for symbol in feed.instruments]
    market = SimulatedMarketplace(feed.seed, instruments, start=start, end=start + 4 * SECOND)
    clock = PlaybackClock(None, kind=VIRTUAL, floor=start)
    built = build_desk(loaded, memory_place(), clock, market, ends_with_market=True)
    built.engine.warm(market.history(HISTORY))
    lane = LaneName("main")
    row = build.lane_rules(loaded.config, lane, loaded.config.lanes[lane]).rows[0]

    def submit():
        mark = built.engine.views.mark("MES", clock.now())
        assert mark is not None
        mid = mark.mid
        distance = Decimal(str(built.engine.rows["MES"]["atr"])) * 2
        tick = table["MES"].tick
        body = sample(row, mid, (mid - distance) // tick * tick, (mid + distance) // tick * tick, clock.now(), 7, secret="x")
        built.desk.inbox.put(AlertReceived(lane, dict(body), 400, "00", True, True, clock.now()))

    submit.ts = start + SECOND  # type: ignore[attr-defined]
    built.driver.source = WithAlert(built.driver.source, submit)

    asyncio.run(built.driver.run())

    positions = {each["account"]: each for each in position_rows(built.engine) if each["instrument"] == "MES"}
    why = [order_row(each) for each in built.engine.execution.orders.records()]
    assert set(positions) == {"paper-a", "paper-b"}, why
    for position in positions.values():
        assert Decimal(position["quantity"]) > 0
        assert position["protected"] == position["quantity"]
    entries = [each for each in built.engine.execution.orders.records() if each.leg.role == "entry" and each.instrument == "MES"]
    assert [each.state.outcome for each in entries if isinstance(each.state, Closed)] == [Outcome.FILLED] * 2


def test_the_bar_strategy_makes_round_trips_of_both_signs_in_a_simulated_week():
    days = "7" if INSTANTS >= 50 else "2"      # two days of the week are enough to fail in, and fit a test run

    answer = replay([], simulated=days)

    for account in answer["results"]:
        assert account["trades"] >= (20 if days == "7" else 6)
        assert 0 < account["won"] < account["trades"]
