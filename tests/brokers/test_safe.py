"""The last room: every way past it is tried, and the bytes at the venue are counted."""

import asyncio
from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.brokers.venue import SmallBroker, define
from tests.gate.test_clearance import alterations
from tests.gate.world import ACCOUNT, NOW, D, a_view, an_exit, asked, holding, some_limits, verdict_of

from interlock.brokers.codes import CODES
from interlock.brokers.egress import Egress
from interlock.brokers.exposure import AccountBook
from interlock.brokers.quotes import Path
from interlock.brokers.safe import AccountFacts, SafeBroker, day_end_chicago
from interlock.errors import NotCleared, NotSent, OutcomeUnknown, StorageError, Unsupported
from interlock.gate.clearance import Signer
from interlock.gate.codes import CODES as GATE_CODES
from interlock.model.clearance import Clearance, Epochs, legs_content
from interlock.model.codes import catalogue
from interlock.model.ids import BrokerOrderId, ClientOrderId, ExecutionId
from interlock.model.instrument import INSTRUMENTS
from interlock.model.limits import SafeLimits
from interlock.model.market import Bar, MarketState, Provenance, Quality, Quote
from interlock.model.money import MINUTE, SECOND
from interlock.model.order import PROFILES, Outcome, Profile
from interlock.model.report import (
    AccountRead,
    BrokerOrder,
    BrokerPosition,
    LineChanged,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderFound,
)
from interlock.model.signal import Purpose, Side

BROKER_ID = BrokerOrderId("b1")


class Desk:
    """Signer, epochs, clock, venue and SafeBroker as `run` joins them, with a real gate in front."""

    def __init__(self, *, facts=None, limits=None, position="0", quote=True, definitions=None, endpoint="paper"):
        self.halts: list[str] = []
        self.now: int = NOW
        self.epoch: Any = Epochs(1, 1, 1)
        self.trips: list[tuple[str, str]] = []
        self.number = 0
        self.signer, self.venue = Signer(), SmallBroker(lambda: self.now)
        self.safe = SafeBroker(
            self.venue, keys=self.signer.public_keys(), state_id="state", epochs=self, now=lambda: self.now,
            instruments=INSTRUMENTS, limits={ACCOUNT: limits or some_limits()},
            accounts={ACCOUNT: facts or AccountFacts(is_paper=True, account_id="P-1")},
            trip=lambda account, why: self.trips.append((account, why)), halt=self.halts.append)
        if definitions is not None:
            self.venue.definitions = definitions
        self.venue.endpoint = endpoint
        if D(position):
            self.venue.positions["MNQ"] = D(position)
        if quote:
            self.quote()
        run(self.safe.read(ACCOUNT))

    def read(self):
        if isinstance(self.epoch, Exception):
            raise self.epoch
        return self.epoch

    def quote(self, bid=72_000, ask=72_001, **changes):
        self.safe.on_market(Quote(**{"instrument": "MNQ", "bid": bid, "ask": ask, "bid_size": 50, "ask_size": 50,
                                     "ts_event": self.now, "ts_recv": self.now, "provenance": Provenance.SIMULATED,
                                     **changes}))

    def cleared(self, intent=None, view=None):
        """The order that a real gate clears; each one under a signal of its own."""
        self.number += 1
        view = view or a_view()
        intent = intent or asked(view)
        wish = msgspec.structs.replace(intent.intent, signal_id=f"{self.number:018d}")
        verdict = verdict_of(view, msgspec.structs.replace(intent, intent=wish))
        assert verdict.is_cleared, verdict.result
        return verdict.result.order

    def exit_order(self, purpose=Purpose.PROTECT, quantity="2", **changes):
        view = holding(quantity)
        return self.cleared(an_exit(view, purpose, person="owner", **changes), view)

    def sign(self, order, **changes):
        return self.signer.issue(**{"order": order, "profile": PROFILES[order.purpose], "attempt": 1, "cause_seq": 7,
                                    "cause_hash": b"h" * 32, "epochs": self.epoch, "state_id": "state", "now": self.now,
                                    **changes})

    def place(self, order, clearance=None):
        run(self.safe.place(order, clearance or self.sign(order)))

    def refuses(self, order, code, clearance=None):
        before = self.venue.bytes
        with pytest.raises(NotCleared) as refused:
            self.place(order, clearance)
        assert refused.value.code == code, str(refused.value)
        assert self.venue.bytes == before, "not one byte left"

    def fill(self, order, leg=0, price="18000.25", **changes):
        self.venue.fills(order.legs[leg], order.instrument, price, **changes)
        self.safe.drain()

    def report(self, report):
        self.venue.queue.append(report)
        self.safe.drain()


def run(coroutine):
    return asyncio.run(coroutine)


def test_a_cleared_order_leaves_once():
    desk = Desk()
    order = desk.cleared()

    desk.place(order)

    assert len(desk.venue.wire) == 1
    assert desk.venue.wire[0].startswith(b"NEW ")
    assert (desk.safe.egress.cleared, desk.safe.egress.written) == (1, 1)


def test_a_replacement_goes_out_as_a_modify():
    desk = Desk(position="2")
    order = desk.exit_order(replaces="x" * 18)

    desk.place(order)

    assert desk.venue.wire[0].startswith(b"MOD ")


# -- the clearance

@pytest.mark.parametrize("clearance", ["", 7, b"signed"])
def test_without_a_clearance_nothing_leaves(clearance):
    desk = Desk()

    desk.refuses(desk.cleared(), "clearance.absent", clearance or object())


def test_each_altered_field_of_the_clearance_is_refused():
    desk = Desk()
    order = desk.cleared()
    good = desk.sign(order)

    for _, value, name in alterations(good.content):
        altered = Clearance(msgspec.structs.replace(good.content, **{name: value}), good.signature)
        desk.refuses(order, "clearance.signature", altered)
    desk.refuses(order, "clearance.profile",
                 Clearance(msgspec.structs.replace(good.content, profile="any"), good.signature))


@pytest.mark.parametrize("changes", [
    {"account": "other"}, {"venue_symbol": "MESZ3"}, {"instrument": "MES"}, {"generation": 1}, {"replaces": "y" * 18},
])
def test_an_order_that_is_not_the_cleared_one_is_refused(changes):
    desk = Desk()
    order = desk.cleared()

    desk.refuses(msgspec.structs.replace(order, **changes), "clearance.content", desk.sign(order))


@pytest.mark.parametrize("leg", [0, 1, 2])
def test_a_leg_that_is_not_the_cleared_one_is_refused(leg):
    desk = Desk()
    order = desk.cleared()
    legs = list(order.legs)
    legs[leg] = msgspec.structs.replace(legs[leg], quantity=legs[leg].quantity + 1)

    desk.refuses(msgspec.structs.replace(order, legs=tuple(legs)), "clearance.content", desk.sign(order))


def test_a_foreign_key_is_refused():
    desk = Desk()
    order = desk.cleared()

    foreign = Signer().issue(order, Profile.ENTER, 1, 7, b"h" * 32, desk.epoch, "state", desk.now)

    desk.refuses(order, "clearance.signature", foreign)


def resigned(desk, clearance, **changes):
    """A clearance of another content, signed with our own keys: what a fault in our own code could produce."""
    content = msgspec.structs.replace(clearance.content, **changes)
    return Clearance(content, desk.signer.sign(content))


@pytest.mark.parametrize(("changes", "code"), [
    ({"state_id": "elsewhere"}, "clearance.state"), ({"format": 2}, "clearance.format"),
    ({"issued": NOW + 1, "expires": NOW + 1 + 2 * SECOND}, "clearance.age"),
    ({"issued": NOW - 2 * SECOND, "expires": NOW}, "clearance.age"),
    ({"expires": NOW + 3600 * SECOND}, "clearance.age"),
    ({"profile": "protect"}, "clearance.purpose"), ({"profile": "flatten"}, "clearance.purpose"),
])
def test_our_own_signature_on_a_wrong_content_is_refused(changes, code):
    desk = Desk()
    order = desk.cleared()

    desk.refuses(order, code, resigned(desk, desk.sign(order), **changes))


def test_an_entry_hidden_among_the_children_is_refused():
    desk = Desk()
    order = desk.cleared()
    hidden = msgspec.structs.replace(order, legs=(
        order.legs[0], msgspec.structs.replace(order.legs[1], purpose=Purpose.ENTER)))
    content = msgspec.structs.replace(desk.sign(order).content, legs=legs_content(hidden))

    desk.refuses(hidden, "clearance.purpose", Clearance(content, desk.signer.sign(content)))


def test_a_clearance_lives_until_its_expiry_and_not_longer():
    desk = Desk()
    first, second = desk.cleared(), desk.cleared()
    clearances = [desk.sign(first), desk.sign(second)]

    desk.now = NOW + 2 * SECOND - 1
    desk.place(first, clearances[0])
    desk.now += 1
    desk.refuses(second, "clearance.age", clearances[1])


def test_a_clearance_is_used_once_even_where_the_write_never_left():
    desk = Desk()
    order = desk.cleared()
    clearance = desk.sign(order)
    desk.venue.outage = NotSent("down")
    with pytest.raises(NotSent):
        desk.place(order, clearance)
    desk.venue.outage = None

    desk.refuses(order, "clearance.used", clearance)
    desk.place(order, desk.sign(order, attempt=2))


def test_an_order_whose_answer_was_lost_is_not_sent_again():
    desk = Desk()
    order = desk.cleared()
    desk.venue.outage = OutcomeUnknown("no answer")
    with pytest.raises(OutcomeUnknown):
        desk.place(order)
    desk.venue.outage = None

    desk.refuses(order, "safe.already_written", desk.sign(order, attempt=2))

    run(desk.safe.lookup(ACCOUNT, order.client_order_id))                    # missing, but too soon to be believed
    desk.refuses(order, "safe.already_written", desk.sign(order, attempt=2))
    desk.now += SECOND
    desk.quote()
    run(desk.safe.lookup(ACCOUNT, order.client_order_id))
    desk.place(order, desk.sign(order, attempt=2))
    assert len(desk.venue.wire) == 2


def test_an_order_that_was_long_on_its_way_is_not_gone_at_the_first_look_up():
    """It may have arrived right before the question, and then it does not show yet."""
    desk = Desk()
    order = desk.cleared()
    desk.venue.outage = OutcomeUnknown("no answer")
    with pytest.raises(OutcomeUnknown):
        desk.place(order)
    desk.venue.outage = None

    desk.now += 10 * SECOND
    desk.quote()
    run(desk.safe.lookup(ACCOUNT, order.client_order_id))
    desk.refuses(order, "safe.already_written", desk.sign(order, attempt=2))

    desk.now += SECOND
    desk.quote()
    run(desk.safe.lookup(ACCOUNT, order.client_order_id))
    desk.place(order, desk.sign(order, attempt=2))
    assert len(desk.venue.wire) == 2


def test_used_clearances_are_remembered_only_until_they_expire():
    desk = Desk()
    for _ in range(3):
        order = desk.cleared()
        desk.place(order)
        desk.report(OrderCancelled(ACCOUNT, order.client_order_id, "", desk.now))
        desk.now += 2 * SECOND
        desk.quote()

    assert len(desk.safe._nonces) == 1


# -- epochs

@pytest.mark.parametrize("moved", ["kill", "lease", "config"])
def test_an_epoch_that_moves_between_signing_and_writing_stops_an_entry(moved):
    desk = Desk()
    order = desk.cleared()
    clearance = desk.sign(order)

    desk.epoch = msgspec.structs.replace(desk.epoch, **{moved: 2})

    desk.refuses(order, f"safe.{moved}_moved", clearance)


@pytest.mark.parametrize("purpose", [Purpose.PROTECT, Purpose.TARGET, Purpose.REDUCE, Purpose.FLATTEN])
def test_a_kill_does_not_stop_an_exit_and_a_lost_lease_does(purpose):
    desk = Desk(position="2")
    killed, orphaned = desk.exit_order(purpose), desk.exit_order(purpose)
    clearances = [desk.sign(order) for order in (killed, orphaned)]

    desk.epoch = Epochs(kill=2, lease=1, config=2)
    desk.place(killed, clearances[0])
    desk.epoch = Epochs(kill=2, lease=2, config=2)
    desk.refuses(orphaned, "safe.lease_moved", clearances[1])


def test_unreadable_epochs_refuse():
    desk = Desk()
    order = desk.cleared()
    clearance = desk.sign(order)
    desk.epoch = StorageError("gone")

    desk.refuses(order, "safe.epochs_unreadable", clearance)


def test_a_kill_that_falls_while_codec_and_checks_work_stops_the_order():
    desk = Desk()
    order = desk.cleared()

    def kill(_):
        desk.epoch = msgspec.structs.replace(desk.epoch, kill=2)
    desk.venue.lies = kill                                                   # the latest moment before the write

    desk.refuses(order, "safe.kill_moved")


# -- the bytes

def lie_about(leg, field, value):
    def lie(message):
        message["legs"][leg][field] = value
    return lie


LIES = [lie_about(leg, field, value) for leg in (0, 1, 2) for field, value in (
    (0, "z" * 18), (1, "other"), (2, "reduce"), (3, "both"), (4, "500"), (5, "stop_limit"), (6, "1"), (7, "1"),
    (8, "ioc"), (9, leg == 0))]


@pytest.mark.parametrize("lie", [
    *LIES, lambda message: message.update(account="other"), lambda message: message.update(symbol="MESZ3"),
    lambda message: message.update(replaces="x"), lambda message: message["legs"].pop(),
    lambda message: message["legs"].append(message["legs"][1]),
])
def test_a_codec_that_writes_something_else_than_was_signed_is_caught(lie):
    desk = Desk()
    order = desk.cleared()
    desk.venue.lies = lie

    desk.refuses(order, "safe.bytes_differ")


def test_bytes_that_cannot_be_read_back_are_refused():
    desk = Desk()
    desk.venue.lies = lambda message: message.pop("legs")

    desk.refuses(desk.cleared(), "safe.unreadable")


def test_a_check_of_its_own_that_breaks_refuses():
    desk = Desk()

    def broken(_):
        raise ZeroDivisionError
    desk.venue.lies = broken

    desk.refuses(desk.cleared(), "safe.check_failed")


# -- account and market

def test_before_the_account_was_read_nothing_leaves():
    desk = Desk()
    desk.report(LineChanged(ACCOUNT, False, 1, "cut"))

    desk.refuses(desk.cleared(), "safe.account_unread")
    run(desk.safe.read(ACCOUNT))
    desk.place(desk.cleared())


def test_after_a_lost_line_an_exit_may_leave_at_once():
    desk = Desk(position="2")
    desk.report(LineChanged(ACCOUNT, False, 1, "cut"))

    desk.place(desk.exit_order())


def test_an_account_that_the_broker_names_otherwise_is_refused():
    desk = Desk()
    desk.venue.account_id = "P-2"
    run(desk.safe.read(ACCOUNT))

    desk.refuses(desk.cleared(), "safe.account_identity")


def test_an_account_of_another_broker_is_refused():
    desk = Desk()
    order = msgspec.structs.replace(desk.cleared(), account="stranger")

    desk.refuses(order, "safe.account")


def test_a_venue_symbol_that_the_broker_did_not_confirm_is_refused():
    desk = Desk(facts=AccountFacts(is_paper=True, venue_symbols={"MNQ": "MNQH4"}))

    desk.refuses(desk.cleared(), "safe.venue_symbol")


@pytest.mark.parametrize(("quote", "code"), [
    ({"ts_recv": NOW - 2 * SECOND - 1}, "safe.quote_old"), ({"ts_recv": NOW + 1}, "safe.quote_old"),
    ({"quality": Quality.STALE}, "safe.quote_old"), ({"bid": 72_002}, "safe.quote_crossed"),
    ({"bid": 0, "ask": 72_001}, "safe.quote_crossed"),
    ({"quality": Quality.SYNTH, "provenance": Provenance.LIVE}, "safe.quote_old"),
])
def test_an_entry_needs_a_good_quote_of_its_own_cache(quote, code):
    desk = Desk()
    desk.quote(**quote)

    desk.refuses(desk.cleared(), code)


def test_without_any_quote_an_entry_is_refused_and_an_exit_is_not():
    desk = Desk(quote=False, position="2")

    desk.refuses(desk.cleared(), "safe.no_quote")
    desk.place(desk.exit_order())


@pytest.mark.parametrize("state", [(False, False), (True, True)])
def test_a_closed_or_halted_market_refuses_entries(state):
    desk = Desk()
    desk.safe.on_market(MarketState("MNQ", state[0], state[1], NOW, NOW))

    desk.refuses(desk.cleared(), "safe.market_closed")


@pytest.mark.parametrize(("age", "is_fresh"), [(0, True), (62 * SECOND, True), (63 * SECOND + 1, False)])
def test_the_quote_of_a_played_bar_is_fresh_until_the_next_is_due(age, is_fresh):
    desk = Desk(quote=False)
    desk.safe.on_market(Bar("MNQ", MINUTE, 72_000, 72_010, 71_990, 72_000, 5, NOW - MINUTE - age, NOW - age,
                            Provenance.PLAYBACK))

    if is_fresh:
        desk.place(desk.cleared())
    else:
        desk.refuses(desk.cleared(), "safe.quote_old")


@pytest.mark.parametrize("provenance", [Provenance.SIMULATED, Provenance.PLAYBACK])
def test_a_price_that_is_not_live_moves_no_real_account(provenance):
    desk = Desk(facts=AccountFacts(is_paper=False), limits=some_limits(symbols=("MNQ",)))
    desk.quote(provenance=provenance)

    desk.refuses(desk.cleared(), "safe.price_not_live")
    desk.quote(provenance=Provenance.LIVE)
    desk.place(desk.cleared())


@pytest.mark.parametrize(("limit", "bid"), [("18010.00", 70_000), (None, 57_000)])
def test_prices_far_from_the_own_quote_are_refused(limit, bid):
    desk = Desk()
    view = a_view()
    order = desk.cleared(asked(view, limit=None if limit is None else D(limit)), view)
    desk.quote(bid=bid, ask=bid + 1)

    desk.refuses(order, "safe.collar")


# -- its own limits

@pytest.mark.parametrize(("limits", "code"), [
    ({"notional_per_order": D("180002.49")}, "safe.notional"),              # 5 * 2 * 18000.25
    ({"position_per_symbol": D(4)}, "safe.position"), ({"symbols": ("MES",)}, "safe.symbol"),
    ({"orders_per_minute": 0}, "safe.order_rate"), ({"daily_loss": D(0)}, "safe.daily_loss"),
])
def test_each_limit_refuses_by_itself(limits, code):
    desk = Desk(limits=some_limits(**limits))

    desk.refuses(desk.cleared(), code)


def test_up_to_its_limits_an_order_passes():
    desk = Desk(limits=some_limits(notional_per_order=D("180002.50"), position_per_symbol=D(5), symbols=("MNQ",),
                                   orders_per_minute=1, daily_loss=D("0.01")))

    desk.place(desk.cleared())


def test_an_empty_list_of_symbols_is_none_for_a_real_account():
    desk = Desk(facts=AccountFacts(is_paper=False))
    desk.quote(provenance=Provenance.LIVE)

    desk.refuses(desk.cleared(), "safe.symbol")


def test_orders_that_may_still_fill_count_against_the_position():
    desk = Desk(limits=some_limits(position_per_symbol=D(9)))
    first = desk.cleared()
    desk.place(first)

    desk.refuses(desk.cleared(), "safe.position")                           # 5 pending + 5
    desk.report(OrderCancelled(ACCOUNT, first.client_order_id, "gone", NOW))
    desk.place(desk.cleared())


def test_a_lost_answer_counts_at_the_worst_case():
    desk = Desk(limits=some_limits(position_per_symbol=D(9)))
    desk.venue.outage = OutcomeUnknown("no answer")
    with pytest.raises(OutcomeUnknown):
        desk.place(desk.cleared())
    desk.venue.outage = None

    desk.refuses(desk.cleared(), "safe.position")


def test_what_never_left_does_not_count():
    desk = Desk(limits=some_limits(position_per_symbol=D(9)))
    desk.venue.outage = NotSent("down")
    with pytest.raises(NotSent):
        desk.place(desk.cleared())
    desk.venue.outage = None

    desk.place(desk.cleared())


def test_a_found_order_counts_until_its_fills_have_come():
    desk = Desk(limits=some_limits(position_per_symbol=D(9)))
    order = desk.cleared()
    desk.place(order)
    desk.report(OrderFound(ACCOUNT, order.client_order_id, BROKER_ID, D(5), Outcome.FILLED, NOW))

    desk.refuses(desk.cleared(), "safe.position")
    desk.fill(order)
    desk.refuses(desk.cleared(), "safe.position")


def test_orders_of_an_earlier_process_count_as_the_broker_lists_them():
    desk = Desk(limits=some_limits(position_per_symbol=D(9)))
    desk.report(AccountRead(ACCOUNT, "P-1", D(50_000), "USD", (), (
        BrokerOrder(ClientOrderId("q" * 18), BROKER_ID, "MNQ", Side.BUY, D(6), D(1), True, False),), (), NOW, 1))

    desk.refuses(desk.cleared(), "safe.position")


def test_the_rate_counts_orders_of_the_last_minute_of_engine_time():
    desk = Desk(limits=some_limits(orders_per_minute=2, position_per_symbol=D(100)))
    desk.place(desk.cleared())
    desk.now += SECOND
    desk.place(desk.cleared())

    desk.refuses(desk.cleared(), "safe.order_rate")
    desk.now = NOW + MINUTE - 1
    desk.quote()
    desk.refuses(desk.cleared(), "safe.order_rate")
    desk.now = NOW + MINUTE
    desk.place(desk.cleared())


def test_the_days_loss_trips_the_kill_switch_once():
    desk = Desk(limits=some_limits(daily_loss=D(100), position_per_symbol=D(100)))
    order = desk.cleared()
    desk.place(order)
    desk.fill(order)                                                        # 5 bought at 18000.25
    assert desk.trips == []

    desk.now += SECOND
    desk.quote(bid=71_960, ask=71_961)                                      # mid 17990.125: 5 * 2 * -10.125 = -101.25

    assert [account for account, _ in desk.trips] == [ACCOUNT]
    assert desk.safe.day_pnl(ACCOUNT) == D("-101.25")
    desk.refuses(desk.cleared(), "safe.daily_loss")
    assert len(desk.trips) == 1


def test_a_position_without_a_price_counts_as_a_loss():
    desk = Desk()
    desk.venue.positions["CL"] = D(1)
    run(desk.safe.read(ACCOUNT))

    desk.refuses(desk.cleared(), "safe.daily_loss")


def test_a_new_day_begins_at_zero():
    desk = Desk(limits=some_limits(daily_loss=D(100), position_per_symbol=D(100)))
    order = desk.cleared()
    desk.place(order)
    desk.fill(order)
    desk.fill(order, 1, "17980.25")                                         # stopped: 5 * 2 * -20 = -200
    assert desk.safe.day_pnl(ACCOUNT) == -200
    desk.refuses(desk.cleared(), "safe.daily_loss")

    desk.now = day_end_chicago(desk.now)
    desk.quote()

    desk.place(desk.cleared())
    assert desk.safe.day_pnl(ACCOUNT) == 0


def test_a_fill_told_twice_counts_once():
    desk = Desk(limits=some_limits(position_per_symbol=D(10)))
    order = desk.cleared()
    desk.place(order)
    desk.fill(order, execution="e")
    desk.venue.positions.clear()
    desk.fill(order, execution="e")

    assert desk.safe.day_pnl(ACCOUNT) == D("-1.25")                         # 5 * 2 * (18000.125 - 18000.25)
    desk.place(desk.cleared())                                              # 5 held + 5 = 10


def test_a_fill_that_arrives_while_the_account_is_read_is_not_lost(monkeypatch):
    desk = Desk(position="2")
    order = desk.exit_order(Purpose.REDUCE)
    desk.place(order)
    stale = run(desk.venue.read(ACCOUNT))

    async def late(account):
        desk.venue.fills(order.legs[0], "MNQ", "18000.00")
        desk.safe.drain()
        return stale
    monkeypatch.setattr(desk.venue, "read", late)
    run(desk.safe.read(ACCOUNT))

    desk.refuses(desk.exit_order(), "safe.not_reducing")


def test_what_has_arrived_counts_before_anybody_has_taken_it_from_the_line():
    desk = Desk(position="2")
    stop = desk.exit_order(Purpose.PROTECT)
    desk.place(stop)
    desk.venue.fills(stop.legs[0], "MNQ", "18000.00")      # the stop's fill waits on the line, nobody has heard of it yet

    desk.refuses(desk.exit_order(Purpose.REDUCE), "safe.not_reducing")
    told = desk.safe.drain()
    assert [type(report).__name__ for report in told] == ["OrderFilled"], "and it is handed on, once"
    assert desk.safe.drain() == []


def test_over_filling_is_a_mismatch_that_stops_entries_and_no_exit():
    desk = Desk(limits=some_limits(position_per_symbol=D(100)))
    order = desk.cleared()
    desk.place(order)
    desk.fill(order, quantity=D(6))

    desk.refuses(desk.cleared(), "safe.egress_mismatch")
    desk.place(desk.exit_order())


# -- what only reduces

def exhausted():
    """No limit has anything left, the quote is old, the kill has moved and the symbol is off the list."""
    desk = Desk(position="2", limits=some_limits(notional_per_order=D(0), position_per_symbol=D(0), orders_per_minute=0,
                                                 daily_loss=D(0), symbols=("MES",)))
    desk.safe.on_market(MarketState("MNQ", False, True, NOW, NOW))
    desk.now += 3600 * SECOND
    return desk


@pytest.mark.parametrize("purpose", [Purpose.PROTECT, Purpose.TARGET, Purpose.REDUCE, Purpose.FLATTEN])
def test_what_only_reduces_passes_when_every_limit_is_exhausted(purpose):
    desk = exhausted()

    desk.place(desk.exit_order(purpose))

    assert len(desk.venue.wire) == 1


@pytest.mark.parametrize(("position", "quantity"), [("1", "2"), ("0", "2"), ("-2", "2")])
def test_an_exit_beyond_what_the_broker_holds_is_refused(position, quantity):
    desk = Desk(position=position)

    desk.refuses(desk.exit_order(quantity=quantity), "safe.not_reducing")


def test_an_exit_far_outside_the_wide_collar_is_refused():
    desk = Desk(position="2")
    order = desk.exit_order()
    desk.quote(bid=40_000, ask=40_001)

    desk.refuses(order, "safe.collar")


@pytest.mark.parametrize(("changes", "code"), [({"quantity": D("1.5")}, "safe.off_lot"),
                                               ({"stop": D("17990.30")}, "safe.off_tick")])
def test_an_exit_off_the_grid_is_refused(changes, code):
    desk = Desk(position="2")
    order = desk.exit_order()
    order = msgspec.structs.replace(order, legs=(msgspec.structs.replace(order.legs[0], **changes),))

    desk.refuses(order, code)


def test_children_that_do_not_fit_their_entry_are_refused():
    desk = Desk()
    order = desk.cleared()
    for changes in ({"side": Side.BUY}, {"quantity": D(6)}):
        legs = (order.legs[0], msgspec.structs.replace(order.legs[1], **changes))
        desk.refuses(msgspec.structs.replace(order, legs=legs), "safe.bracket_shape")


def test_an_exit_may_be_sent_for_a_fill_the_moment_it_is_told():
    desk = Desk()
    view = a_view()
    order = desk.cleared(asked(view), view)
    entry = msgspec.structs.replace(order, legs=order.legs[:1])
    desk.place(entry)
    desk.refuses(desk.exit_order(), "safe.not_reducing")

    desk.fill(entry, quantity=D(2))

    desk.place(desk.exit_order())


def test_cancels_pass_untouched_by_kill_rate_or_limits():
    desk = exhausted()
    for number in range(500):
        run(desk.safe.cancel(ACCOUNT, str(number)))

    assert len(desk.venue.cancelled) == 500


def test_reports_pass_through_and_are_seen():
    desk = Desk()
    order = desk.cleared()
    desk.place(order)
    desk.venue.fills(order.legs[0], "MNQ", "18000.25")

    async def collect():
        return [report async for report in desk.safe.reports()]

    assert [type(report) for report in run(collect())] == [OrderFilled]
    desk.place(desk.exit_order(quantity="5"))


def test_two_orders_at_once_do_not_share_a_limit():
    desk = Desk(limits=some_limits(position_per_symbol=D(9)))
    orders = [desk.cleared(), desk.cleared()]
    clearances = [desk.sign(order) for order in orders]

    async def both():
        return await asyncio.gather(*(desk.safe.place(order, clearance) for order, clearance in zip(
            orders, clearances, strict=True)), return_exceptions=True)

    first, second = run(both())
    assert first is None
    assert isinstance(second, NotCleared)
    assert len(desk.venue.wire) == 1


def test_venue_resizes_of_children_are_followed():
    desk = Desk(limits=some_limits(position_per_symbol=D(5)))
    order = desk.cleared()
    desk.place(order)
    desk.fill(order, quantity=D(2))
    desk.report(OrderAccepted(ACCOUNT, order.legs[1].client_order_id, BROKER_ID, NOW, True, D(2)))
    desk.fill(order, 1, "17990.25", quantity=D(2))

    # 3 of the entry may still fill: nothing held, 3 pending
    desk.refuses(desk.cleared(), "safe.position")


# -- the book against a slow plain version

@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 4), st.integers(0, 4)), max_size=6),
       st.integers(-5, 5))
def test_the_worst_case_is_that_of_every_subset(orders, position):
    book = AccountBook(INSTRUMENTS, 0)
    rests, total = [], position
    held = [("MNQ", D(position))] if position else []
    book.apply(AccountRead(ACCOUNT, "P", D(0), "USD", tuple(BrokerPosition(*one) for one in held), (), (), 0, 1))
    desk_order = verdict_of(a_view()).result.order
    for number, (side, quantity, filled) in enumerate(orders):
        leg = msgspec.structs.replace(desk_order.legs[0], client_order_id=f"o{number}", side=Side(side),
                                      quantity=D(quantity))
        book.sent(msgspec.structs.replace(desk_order, legs=(leg,)), 0)
        done = min(filled, quantity)
        if done:
            book.apply(OrderFilled(ACCOUNT, leg.client_order_id, ExecutionId(f"x{number}"), "MNQ", leg.side, D(done),
                                   D(18_000), D(0), 0))
            total += done * leg.side.sign
        rests.append((quantity - done) * leg.side.sign)

    reachable = [abs(total + sum(rest * bit for rest, bit in zip(rests, bits, strict=True)) + extra)
                 for bits in product((0, 1), repeat=len(rests)) for extra in (0, 3)]
    assert book.worst("MNQ", Side.BUY, D(3)) == max(reachable)


def a_book_with(order):
    book = AccountBook(INSTRUMENTS, 0)
    book.apply(AccountRead(ACCOUNT, "P", D(0), "USD", (), (), (), 0, 1))
    book.sent(order, 0)
    return book


def test_children_count_as_far_as_their_entry_has_filled_and_as_one():
    order = verdict_of(a_view()).result.order                               # 5, with stop and target
    entry = order.legs[0]
    book = a_book_with(order)
    assert book.worst("MNQ", Side.SELL, D(0)) == 5

    book.apply(OrderFilled(ACCOUNT, entry.client_order_id, ExecutionId("x"), "MNQ", Side.BUY, D(1), D(18_000), D(0), 0))
    book.apply(OrderCancelled(ACCOUNT, entry.client_order_id, "rest", 0))

    assert book.worst("MNQ", Side.SELL, D(2)) == 2                          # 1 - 1 - 2, whichever child fills


def test_an_entry_that_ends_without_a_fill_takes_its_children_along():
    order = verdict_of(a_view()).result.order
    book = a_book_with(order)

    book.apply(OrderCancelled(ACCOUNT, order.client_order_id, "gone", 0))

    assert not any(book.is_live(leg.client_order_id) for leg in order.legs)


def test_an_order_that_the_venue_resized_counts_as_resized():
    order = verdict_of(a_view()).result.order
    book = a_book_with(order)

    book.apply(OrderAccepted(ACCOUNT, order.client_order_id, BROKER_ID, 0, True, D(2)))

    assert book.worst("MNQ", Side.BUY, D(0)) == 2


def test_a_write_without_a_clearance_is_a_mismatch():
    desk = Desk()
    order = desk.cleared()
    egress = Egress()
    legs = desk.venue.read_back(desk.venue.encode(order).body)[2]

    egress.accept(desk.sign(order).content)
    egress.write(legs)
    assert egress.mismatch is None
    egress.write(legs)

    assert egress.mismatch is not None


# -- limits by kind

def test_the_limits_of_an_account_depend_on_what_is_traded():
    limits = SafeLimits(contract_value=D(300_000))

    assert limits.of(INSTRUMENTS["MNQ"], D(18_000)).notional_per_order == 6_000_000
    assert limits.of(INSTRUMENTS["MNQ"], D(18_000)).position_per_symbol == 20
    assert limits.of(INSTRUMENTS["SPY"], D(500)).position_per_symbol == 2_000
    assert limits.of(INSTRUMENTS["BTCUSD"], D(50_000)).position_per_symbol == 1


def test_limits_of_an_account_bind_like_resolved_ones():
    desk = Desk(limits=SafeLimits(contracts_per_symbol=D(4)))

    desk.refuses(desk.cleared(), "safe.notional")


@pytest.mark.parametrize(("now", "end"), [
    (1_700_000_000, 1_700_002_800),        # 2023-11-14 16:13:20 in Chicago: 47 minutes to go
    (1_700_002_800, 1_700_089_200),        # 17:00 sharp: the next day
    (1_710_021_600, 1_710_025_200),        # 2024-03-09 16:00 CST
    (1_710_025_200, 1_710_108_000),        # 17:00 CST: the next end is an hour early, the clocks go forward
])
def test_the_day_ends_at_five_in_chicago(now, end):
    assert day_end_chicago(now * SECOND) == end * SECOND


def test_codes_are_unique_over_both_rooms():
    codes = catalogue(CODES, GATE_CODES)

    assert len(codes) == len(CODES) + len(GATE_CODES)


# -- the instrument by the broker's own word

@pytest.mark.parametrize(("told", "code"), [
    ({}, "safe.definition_unknown"),
    ({"MNQ": define("MNQ", tick=D("0.5"))}, "safe.definition"),
    ({"MNQ": define("MNQ", lot=D(2))}, "safe.definition"),
    ({"MNQ": define("MNQ", multiplier=D(20))}, "safe.definition"),
    ({"MNQ": define("MNQ", currency="EUR")}, "safe.definition"),
    ({"MNQ": define("MNQ", ts_expiry=NOW)}, "safe.expired"),
    ({"MNQ": define("MNQ", ts_roll=NOW)}, "safe.expired"),
])
def test_an_entry_leaves_only_in_what_the_broker_says_it_is(told, code):
    desk = Desk(definitions=told)

    desk.refuses(desk.cleared(), code)


@pytest.mark.parametrize("told", [{}, {"MNQ": define("MNQ", tick=D("0.5"))}, {"MNQ": define("MNQ", ts_expiry=NOW)}])
def test_what_only_reduces_leaves_whatever_the_broker_calls_the_instrument(told):
    desk = Desk(definitions=told, position="2")

    desk.place(desk.exit_order())

    assert desk.venue.bytes


def test_a_definition_that_was_told_once_is_remembered():
    desk = Desk()
    desk.venue.definitions = {}
    run(desk.safe.read(ACCOUNT))

    desk.place(desk.cleared())

    assert desk.venue.bytes


# -- where the market has been

def test_an_entry_far_from_where_the_market_was_within_the_minute_stays_here():
    desk = Desk(quote=False)
    desk.quote(bid=68_570, ask=68_571)                 # 17142.625; 5 % above it is 17999.76
    desk.now += SECOND
    desk.quote()                                       # 18000.00 by 18000.25
    order = desk.cleared()

    desk.refuses(order, "safe.window")
    desk.now += 59 * SECOND + 1                        # a nanosecond over the minute, the old price is out of the window
    desk.quote()
    desk.place(desk.cleared())


def test_a_bar_counts_with_all_of_its_path_and_a_long_one_with_its_close():
    for timeframe, is_held in ((MINUTE, True), (240 * MINUTE, False)):
        desk = Desk(quote=False)
        desk.safe.on_market(Bar("MNQ", timeframe, 72_000, 72_000, 60_000, 72_000, 100, NOW - timeframe, NOW,
                                Provenance.SIMULATED))
        desk.now += SECOND
        desk.quote()
        if is_held:
            desk.refuses(desk.cleared(), "safe.window")
        else:
            desk.place(desk.cleared())


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 50)), min_size=1, max_size=40), st.integers(1, 60))
def test_the_path_is_the_lowest_and_highest_of_the_span(steps, span):
    path, ts, told = Path(span), 0, []
    for passed, value in steps:
        ts += passed
        path.add(ts, value, value)
        told.append((ts, value))

        recent = [value for at, value in told if at >= ts - span]
        assert path.reach(ts) == (min(recent), max(recent))


# -- paper and live

def test_an_account_that_answers_from_another_environment_is_refused():
    desk = Desk(endpoint="live")

    desk.refuses(desk.cleared(), "safe.environment")


# -- more out than in

def test_more_filled_than_was_cleared_halts_once_and_for_every_entry():
    desk = Desk()
    order = desk.cleared()
    desk.place(order)
    desk.fill(order)

    desk.fill(order, quantity=D(1))                    # one more than was cleared
    desk.fill(order, quantity=D(1))

    assert len(desk.halts) == 1
    assert order.client_order_id in desk.halts[0]
    desk.refuses(desk.cleared(), "safe.egress_mismatch")


# -- the lane of cancels

def test_no_number_of_orders_holds_up_a_cancel():
    desk = Desk(limits=some_limits(orders_per_minute=1))
    first = desk.cleared()
    desk.place(first)
    desk.refuses(desk.cleared(), "safe.order_rate")

    for number in range(500):
        run(desk.safe.cancel(ACCOUNT, ClientOrderId(f"{number:018d}")))
    run(desk.safe.cancel(ACCOUNT, first.client_order_id))

    assert len(desk.venue.cancelled) == 501
    desk.now += MINUTE
    desk.quote()
    desk.place(desk.cleared())                         # and cancels count for nothing against orders


# -- what nobody defined, and what the broker cannot say

def test_an_instrument_without_a_definition_of_ours_is_refused():
    desk = Desk()
    order = msgspec.structs.replace(desk.cleared(), instrument="NONE")

    desk.refuses(order, "safe.instrument")


def test_what_the_broker_cannot_express_is_refused(monkeypatch):
    desk = Desk()
    order = desk.cleared()

    def encode(_):
        raise Unsupported("one leg at a time")

    monkeypatch.setattr(desk.venue, "encode", encode)

    desk.refuses(order, "safe.unsupported")


def test_the_last_stop_of_a_position_is_not_cancelled_by_itself():
    desk = Desk(position="2")
    stop = desk.exit_order()
    desk.place(stop)

    with pytest.raises(NotCleared) as refused:
        run(desk.safe.cancel(ACCOUNT, stop.client_order_id))

    assert refused.value.code == "safe.last_protection"
    assert not desk.venue.cancelled
    run(desk.safe.cancel(ACCOUNT, stop.client_order_id, "person"))
    assert desk.venue.cancelled == [stop.client_order_id]


@pytest.mark.parametrize(("age", "is_allowed"), [(10 * SECOND, True), (10 * SECOND + 1, False), (-1, False)])
def test_an_engine_whose_loop_stands_enters_nothing_and_may_still_get_out(age, is_allowed):
    desk = Desk(position="2")
    desk.safe._beat_age = lambda: age

    if is_allowed:
        desk.place(desk.cleared())
    else:
        desk.refuses(desk.cleared(), "safe.heartbeat")
    desk.place(desk.exit_order())
