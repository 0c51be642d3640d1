"""The independent venue: its ledger adds up, brackets cancel each other, and it lies only when it is told to."""

import json
from fractions import Fraction
from typing import Any

from interlock.simulation import scenes
from interlock.simulation.history import VenueFill, VenueOrder
from interlock.simulation.venue import Venue, text


class Outside:
    """A venue, and everything that it told."""

    def __init__(self):
        self.ledger: list[Any] = []
        self.reports: list[dict[str, Any]] = []
        self.venue = Venue(scenes.scene("brackets").terms, self.ledger.append,
                           lambda kind, account, body: self.reports.append(json.loads(body)))
        self.quote(18_200)

    def quote(self, ticks, ts=1):
        self.venue.quote("MES", Fraction(ticks, 4), Fraction(ticks + 1, 4), 40, 40, ts)

    def place(self, *legs, ts=2, faults=None):
        message = {"op": "order", "account": "alfa", "symbol": "MES", "legs": list(legs)}
        return json.loads(self.venue.handle("place", json.dumps(message).encode(), ts, faults or {}))

    def ask(self, op, ts=3, **fields):
        return json.loads(self.venue.handle(op, json.dumps({"op": op, "account": "alfa", **fields}).encode(), ts))


def leg(name, role, side, quantity, **more):
    kind = "stop" if "stop" in more else "limit" if "limit" in more else "market"
    purpose = {"entry": "enter", "stop": "protect", "target": "target", "exit": "reduce"}[role]
    return {"id": name, "role": role, "purpose": purpose, "side": side, "quantity": str(quantity), "type": kind, "tif": "gtc",
            **more}


BRACKET = (leg("e", "entry", "buy", 2), leg("s", "stop", "sell", 2, stop="4548"), leg("t", "target", "sell", 2, limit="4552"))


def test_an_entry_fills_at_the_opposite_quote_and_makes_its_exits_live():
    outside = Outside()

    assert outside.place(*BRACKET)["is"] == "taken"

    fill = next(each for each in outside.ledger if isinstance(each, VenueFill))
    assert (fill.quantity, fill.price) == (Fraction(2), Fraction(18_201, 4))
    assert [each["event"] for each in outside.reports] == ["accepted", "accepted", "accepted", "fill", "accepted", "accepted"]
    assert set(outside.venue.open_ids("alfa")) == {"s", "t"}


def test_one_exit_cancels_the_other():
    outside = Outside()
    outside.place(*BRACKET)

    outside.quote(18_180, 5)

    assert outside.venue.position("alfa", "MES") == 0
    assert [each.id for each in outside.ledger if isinstance(each, VenueOrder) and each.what == "cancelled"] == ["t"]


def test_a_stop_that_the_market_does_not_reach_rests():
    outside = Outside()
    outside.place(*BRACKET)

    outside.quote(18_196, 5)

    assert outside.venue.position("alfa", "MES") == 2


def test_an_order_is_not_found_before_it_is_visible():
    outside = Outside()
    outside.place(*BRACKET, faults={"broker.visibility_delay": {"ns": 100}})

    assert outside.ask("lookup", ts=50, id="e")["is"] == "missing"
    assert outside.ask("lookup", ts=150, id="e")["is"] == "found"


def test_an_id_is_used_once():
    outside = Outside()
    outside.place(leg("e", "entry", "buy", 1))
    outside.reports.clear()

    outside.place(leg("e", "entry", "buy", 1), ts=4)

    assert [each["event"] for each in outside.reports] == ["rejected", "status"]
    assert outside.venue.position("alfa", "MES") == 1


def test_a_price_off_the_tick_is_rejected():
    outside = Outside()

    outside.place(leg("x", "entry", "buy", 1, limit="4550.1"))

    assert outside.reports[0]["event"] == "rejected"


def test_the_account_shows_what_the_ledger_holds():
    outside = Outside()
    outside.place(*BRACKET)

    read = outside.ask("read")

    assert read["positions"] == [{"symbol": "MES", "quantity": "2", "price": "4550.25"}]
    assert {order["id"] for order in read["orders"]} == {"s", "t"}
    assert read["cash"] == "49998.76"


def test_what_a_person_trades_there_is_told_as_theirs():
    outside = Outside()

    assert outside.venue.trade_by_hand("alfa", "MES", Fraction(-1), 9)

    assert outside.ledger[-1].by == "person"
    assert outside.venue.position("alfa", "MES") == -1


def test_numbers_are_spelled_exactly():
    assert [text(Fraction(value)) for value in ("4550.25", "0.62", "-3", "0")] == ["4550.25", "0.62", "-3", "0"]
