"""The last room's numbers where they begin to bind, and a step beside them.

The order is five MNQ bought at market with a stop at 17990.25 and a target at 18020.25; a quote is told in quarters.
"""

from typing import Any

import pytest
from tests.brokers.test_safe import BROKER_ID, Desk, resigned, run
from tests.brokers.venue import define
from tests.gate.world import ACCOUNT, NOW, D, a_view, asked, some_limits

from interlock.brokers.egress import Egress
from interlock.brokers.exposure import AccountBook
from interlock.brokers.quotes import Path, QuoteCache
from interlock.brokers.safe import BEAT_AGE_MAX, LIFE_MAX, AccountFacts, SafeRules
from interlock.model.ids import ClientOrderId, ExecutionId
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Bar, MarketState, Provenance, Quality, Quote
from interlock.model.money import MINUTE, SECOND
from interlock.model.order import Outcome
from interlock.model.report import (
    AccountRead,
    BrokerOrder,
    BrokerPosition,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderFound,
    OrderRejected,
)
from interlock.model.signal import Side

WIDE: dict[str, Any] = {"notional_per_order": D(10**9), "position_per_symbol": D(10**6)}


def leaves(desk: Desk, order: Any, code: str, clearance: Any = None) -> None:
    """It leaves where no code is named, and is refused with the code where one is."""
    if code:
        desk.refuses(order, code, clearance)
    else:
        desk.place(order, clearance)


def test_the_shipped_numbers():
    assert SafeRules() == SafeRules(quote_age_max=2_000_000_000, collar_share=D("0.02"), wide_collar_share=D("0.25"),
                                    window=60_000_000_000, window_share=D("0.05"))
    assert (LIFE_MAX, BEAT_AGE_MAX) == (2_000_000_000, 10_000_000_000)


@pytest.mark.parametrize(("life", "code"), [(2 * SECOND, ""), (2 * SECOND + 1, "clearance.age")])
def test_a_clearance_may_live_two_seconds(life, code):
    desk = Desk()
    order = desk.cleared()

    leaves(desk, order, code, resigned(desk, desk.sign(order), expires=NOW + life))


@pytest.mark.parametrize(("age", "code"), [
    (0, ""), (10 * SECOND, ""), (10 * SECOND + 1, "safe.heartbeat"), (-1, "safe.heartbeat"),
])
def test_an_entry_needs_a_loop_that_came_round_lately(age, code):
    desk = Desk()
    desk.safe._beat_age = lambda: age

    leaves(desk, desk.cleared(), code)


# -- the market

@pytest.mark.parametrize(("changes", "code"), [
    ({"ts_recv": NOW - 2 * SECOND}, ""), ({"ts_recv": NOW - 2 * SECOND - 1}, "safe.quote_old"), ({"ts_recv": NOW}, ""),
    ({"bid": 72_001}, ""), ({"bid": 72_002}, "safe.quote_crossed"), ({"bid": 0}, "safe.quote_crossed"),
    ({"quality": Quality.SYNTH}, ""), ({"fresh_until": NOW, "ts_recv": NOW - 60 * SECOND}, ""),
    ({"fresh_until": NOW - 1, "ts_recv": NOW - 60 * SECOND}, "safe.quote_old"),
    ({"fresh_until": NOW + 9, "ts_recv": NOW + 1}, "safe.quote_old"), ({"fresh_until": NOW + 9, "ts_recv": NOW}, ""),
])
def test_a_quote_is_young_whole_and_two_sided(changes, code):
    desk = Desk(quote=False)
    desk.quote(**changes)

    leaves(desk, desk.cleared(), code)


@pytest.mark.parametrize(("is_open", "is_halted", "code"), [
    (True, False, ""), (False, False, "safe.market_closed"), (True, True, "safe.market_closed"),
])
def test_a_market_that_says_so_is_shut(is_open, is_halted, code):
    desk = Desk()
    desk.safe.on_market(MarketState("MNQ", is_open, is_halted, NOW, NOW))

    leaves(desk, desk.cleared(), code)


@pytest.mark.parametrize(("quote", "code"), [(70_593, ""), (70_592, "safe.collar")])     # 17648.25 x 1.02 is 18001.215
def test_an_entrys_limit_lies_within_a_fiftieth_of_the_own_quote(quote, code):
    desk = Desk(quote=False, limits=some_limits(**WIDE))
    view = a_view()
    order = desk.cleared(asked(view, limit=D(18_001), stop=D(17_991)), view)
    desk.quote(bid=quote, ask=quote)

    leaves(desk, order, code)


@pytest.mark.parametrize(("quote", "code"), [(57_569, ""), (57_568, "safe.collar"), (95_948, ""), (95_949, "safe.collar")])
def test_an_exits_stop_lies_within_a_quarter_of_the_own_quote(quote, code):
    # 17990.25 over 1.25 is 14392.20: 14392.25 reaches it, 14392.00 does not; over 0.75 it is 23987.00
    desk = Desk(quote=False, position="2")
    desk.quote(bid=quote, ask=quote)

    leaves(desk, desk.exit_order(), code)


@pytest.mark.parametrize(("before", "code"), [(75_790, ""), (75_791, "safe.window"), (68_573, ""), (68_572, "safe.window")])
def test_an_entry_keeps_within_a_twentieth_of_where_the_market_was(before, code):
    # bought at 18000.25: over 0.95 that is 18947.63, over 1.05 it is 17143.10
    desk = Desk(quote=False)
    desk.quote(bid=before, ask=before)
    desk.now += SECOND
    desk.quote()

    leaves(desk, desk.cleared(), code)


# -- limits

@pytest.mark.parametrize(("wish", "allowed", "code"), [
    ({}, "180002.50", ""), ({}, "180002.49", "safe.notional"),                                 # 5 x 2 x 18000.25
    ({"limit": D(18_001), "stop": D(17_991)}, "180010", ""),                                   # 5 x 2 x 18001
    ({"limit": D(18_001), "stop": D(17_991)}, "180009.99", "safe.notional"),
    ({"limit": D(17_995)}, "180002.50", ""), ({"limit": D(17_995)}, "180002.49", "safe.notional"),
])
def test_the_value_of_an_order_is_taken_at_the_worse_of_quote_and_limit(wish, allowed, code):
    desk = Desk(limits=some_limits(notional_per_order=D(allowed)))
    view = a_view()
    order = desk.cleared(asked(view, **wish), view)
    assert order.parent.quantity == 5

    leaves(desk, order, code)


@pytest.mark.parametrize(("quote", "trips"), [(71_962, 0), (71_961, 1), (71_960, 1)])
def test_the_days_loss_is_reached_at_its_limit(quote, trips):
    desk = Desk(limits=some_limits(daily_loss=D(100), position_per_symbol=D(100)))
    order = desk.cleared()
    desk.place(order)
    desk.fill(order)

    desk.now += SECOND
    desk.quote(bid=quote, ask=quote)                               # 17990.25 is ten points below: 5 x 2 x 10 = 100

    assert len(desk.trips) == trips


@pytest.mark.parametrize(("passed", "trips"), [(SECOND - 1, 0), (SECOND, 1)])
def test_a_market_that_moves_is_looked_at_once_a_second(passed, trips):
    desk = Desk(limits=some_limits(daily_loss=D(100), position_per_symbol=D(100)))
    order = desk.cleared()
    desk.place(order)
    desk.fill(order)
    desk.quote()                                                   # looked at now

    desk.now += passed
    desk.quote(bid=71_000, ask=71_000)

    assert len(desk.trips) == trips


def test_a_loss_trips_once_a_day_and_again_the_next():
    desk = Desk(limits=some_limits(daily_loss=D(100), position_per_symbol=D(100)))
    order = desk.cleared()
    desk.place(order)
    desk.fill(order)
    for day in (1, 2):
        for bid in (71_000 - 500 * day, 70_900 - 500 * day):
            desk.now += SECOND
            desk.quote(bid=bid, ask=bid)
        assert len(desk.trips) == day
        desk.now = NOW + 86_400 * SECOND
        desk.quote(bid=71_000 - 500 * day, ask=71_000 - 500 * day)


@pytest.mark.parametrize(("changes", "code"), [
    ({"ts_expiry": NOW}, "safe.expired"), ({"ts_expiry": NOW + 1}, ""),
    ({"ts_roll": NOW}, "safe.expired"), ({"ts_roll": NOW + 1}, ""),
])
def test_a_contract_may_be_entered_until_its_end(changes, code):
    desk = Desk(definitions={"MNQ": define("MNQ", **changes)})

    leaves(desk, desk.cleared(), code)


@pytest.mark.parametrize(("facts", "code"), [
    (AccountFacts(is_paper=True, venue_symbols={"MNQ": "MNQZ3"}), ""), (AccountFacts(is_paper=True, account_id=None), ""),
    (AccountFacts(is_paper=True, account_id="P-2"), "safe.account_identity"),
    (AccountFacts(is_paper=True, venue_symbols={}), "safe.venue_symbol"),
])
def test_the_account_is_the_one_that_was_meant(facts, code):
    desk = Desk(facts=facts)

    leaves(desk, desk.cleared(), code)


class Confirmed:
    def __init__(self, number: str | None) -> None:
        self._number = number

    def number(self, _: object) -> str | None:
        return self._number


@pytest.mark.parametrize(("confirmed", "code"), [
    (None, "safe.unconfirmed"), (Confirmed(None), "safe.unconfirmed"), (Confirmed("P-2"), "safe.unconfirmed"),
    (Confirmed("P-1"), ""),
])
def test_a_live_account_is_confirmed_by_its_number(confirmed, code):
    desk = Desk(facts=AccountFacts(is_paper=False, account_id="P-1", mode="live"), endpoint="live",
                limits=some_limits(symbols=("MNQ",)))
    desk.quote(provenance=Provenance.LIVE)
    desk.safe._confirmations = confirmed

    leaves(desk, desk.cleared(), code)


# -- the book of its own

def a_book(*held: tuple[str, str], fills: tuple[OrderFilled, ...] = (), orders: tuple[BrokerOrder, ...] = ()) -> AccountBook:
    book = AccountBook(INSTRUMENTS, SECOND)
    positions = tuple(BrokerPosition(name, D(quantity), D(100)) for name, quantity in held)
    book.apply(AccountRead(ACCOUNT, "P", D(0), "USD", positions, orders, fills, 0, 1))
    return book


def a_fill(quantity: str, price: str, side: Side = Side.BUY, execution: str = "e", cid: str = "o", fee: str = "0") -> OrderFilled:
    return OrderFilled(ACCOUNT, ClientOrderId(cid), ExecutionId(execution), "MNQ", side, D(quantity), D(price), D(fee), 0)


def mark(price: str) -> Any:
    return lambda _: D(price)


def test_the_days_result_is_flow_and_change_of_what_was_held_less_commissions():
    book = a_book(("MNQ", "2"))
    assert book.day_pnl(mark("110")) == 2 * 10 * 2

    book.apply(a_fill("1", "105", execution="a", fee="0.62"))
    assert book.day_pnl(mark("110")) == D("49.38")                 # 40 + 1 x 5 x 2 - 0.62
    book.apply(a_fill("3", "108", Side.SELL, execution="b"))
    assert book.day_pnl(mark("1")) == D("37.38")                   # 2 x 8 x 2 + 1 x 3 x 2 - 0.62, whatever the mark


def test_a_day_that_was_traded_before_the_read_began_with_what_was_held_then():
    # held now 2 at 100, bought 3 today at 90: the day began one short, at 100
    book = a_book(("MNQ", "2"), fills=(a_fill("3", "90"),))

    assert book.day_pnl(mark("110")) == 3 * 20 * 2 - 1 * 10 * 2


def test_a_new_day_begins_at_the_mark():
    book = a_book(("MNQ", "2"))
    book.begin_day(mark("110"))

    assert book.day_pnl(mark("111")) == 4
    assert book.day_pnl(lambda _: None) is None


@pytest.mark.parametrize(("steps", "position", "average"), [
    ([("1", "100", Side.BUY), ("1", "110", Side.BUY)], 2, "105"), ([("2", "100", Side.BUY), ("1", "110", Side.SELL)], 1, "100"),
    ([("1", "100", Side.BUY), ("3", "110", Side.SELL)], -2, "110"),
    ([("1", "100", Side.SELL), ("3", "90", Side.SELL)], -4, "92.5"),
    ([("1", "100", Side.BUY), ("1", "90", Side.SELL)], 0, None),
])
def test_the_average_price_of_what_is_held(steps, position, average):
    book = a_book()
    for number, (quantity, price, side) in enumerate(steps):
        book.apply(a_fill(quantity, price, side, execution=f"e{number}"))

    assert book.position("MNQ") == position
    assert book.average("MNQ") == (None if average is None else D(average))
    assert book.holds("MNQ") is bool(position)


def listed(cid: str, side: Side = Side.SELL, quantity: str = "2", filled: str = "0", *, is_live: bool = True,
           is_protective: bool = True, instrument: str = "MNQ") -> BrokerOrder:
    return BrokerOrder(ClientOrderId(cid), BROKER_ID, instrument, side, D(quantity), D(filled), is_live, is_protective)


@pytest.mark.parametrize(("orders", "is_last"), [
    ((listed("s"),), True), ((listed("s"), listed("t")), False), ((listed("s"), listed("t", quantity="1")), True),
    ((listed("s"), listed("t", is_protective=False)), True), ((listed("s"), listed("t", Side.BUY)), True),
    ((listed("s"), listed("t", instrument="ES")), True), ((listed("s", Side.BUY),), False),
    ((listed("s", is_protective=False),), False), ((listed("s", instrument="ES"),), False), ((), False),
    ((listed("s"), listed("t", quantity="3", filled="1")), False), ((listed("s"), listed("t", quantity="3", filled="2")), True),
])
def test_the_last_stop_is_the_one_without_which_the_position_is_not_covered(orders, is_last):
    assert a_book(("MNQ", "2"), orders=orders).is_last_protection(ClientOrderId("s")) is is_last


@pytest.mark.parametrize("end", [
    OrderCancelled(ACCOUNT, ClientOrderId("s"), "", 0), OrderRejected(ACCOUNT, ClientOrderId("s"), "", 0),
    OrderExpired(ACCOUNT, ClientOrderId("s"), 0), OrderFound(ACCOUNT, ClientOrderId("s"), BROKER_ID, D(0), Outcome.CANCELLED, 0),
])
def test_an_order_that_has_ended_may_fill_no_more(end):
    book = a_book(orders=(listed("s"), listed("t", quantity="1")))
    assert book.worst("MNQ", Side.SELL, D(0)) == 3

    book.apply(end)

    assert not book.is_live(ClientOrderId("s"))
    assert book.worst("MNQ", Side.SELL, D(0)) == 1


@pytest.mark.parametrize(("found", "worst"), [
    (OrderFound(ACCOUNT, ClientOrderId("s"), BROKER_ID, D(0), None, 0), 2),
    (OrderFound(ACCOUNT, ClientOrderId("s"), BROKER_ID, D(1), Outcome.CANCELLED, 0), 1),
    (OrderAccepted(ACCOUNT, ClientOrderId("s"), BROKER_ID, 0, True, D(5)), 5),
    (OrderAccepted(ACCOUNT, ClientOrderId("s"), BROKER_ID, 0, True, None), 2),
    (OrderAccepted(ACCOUNT, ClientOrderId("z"), BROKER_ID, 0, True, D(5)), 2),
])
def test_what_the_venue_says_of_an_order_is_what_it_may_still_fill(found, worst):
    book = a_book(orders=(listed("s"),))

    book.apply(found)

    assert book.worst("MNQ", Side.SELL, D(0)) == worst


# -- out against in, and the market's path

def test_a_leg_may_fill_what_was_cleared_and_no_more():
    desk = Desk()
    order = desk.cleared()
    egress, content = Egress(), desk.sign(order).content
    legs = desk.venue.read_back(desk.venue.encode(order).body)[2]

    egress.fill(ClientOrderId("of an earlier process"), D(99))
    egress.accept(content)
    egress.write(legs)
    egress.fill(order.client_order_id, D(2))
    egress.fill(order.client_order_id, D(3))
    assert (egress.cleared, egress.written, egress.mismatch) == (1, 1, None)
    egress.fill(order.client_order_id, D("0.5"))

    assert egress.mismatch == f"{order.client_order_id} filled 5.5, cleared 5"


def test_each_writing_needs_a_clearance_of_its_own():
    desk = Desk()
    order = desk.cleared()
    egress, content = Egress(), desk.sign(order).content
    legs = desk.venue.read_back(desk.venue.encode(order).body)[2]
    for _ in range(2):
        egress.accept(content)
        egress.write(legs)
    assert egress.mismatch is None

    egress.write(legs[:1])

    assert egress.mismatch == f"{order.client_order_id} written 3 times, cleared 2 times"


def test_the_path_forgets_after_its_span_and_keeps_what_was_told_last():
    path = Path(10)
    path.add(0, 5, 9)
    path.add(5, 6, 7)

    assert path.reach(10) == (5, 9)
    assert path.reach(11) == (6, 7)
    assert path.reach(1_000) == (6, 7)


def a_bar(timeframe: int) -> Bar:
    return Bar("MNQ", timeframe, 100, 130, 70, 110, 5, NOW - timeframe, NOW, Provenance.SIMULATED)


@pytest.mark.parametrize(("timeframe", "reach"), [(MINUTE, (140, 260)), (MINUTE + 1, (220, 220))])
def test_a_bar_within_the_window_counts_whole_and_a_longer_one_with_its_close(timeframe, reach):
    cache = QuoteCache(INSTRUMENTS)
    cache.on_market(a_bar(timeframe))

    assert cache.reach("MNQ", NOW) == reach
    assert cache.reach("ES", NOW) is None


def test_a_quote_counts_with_twice_its_mid():
    cache = QuoteCache(INSTRUMENTS)
    cache.on_market(Quote(instrument="MNQ", bid=100, ask=104, bid_size=1, ask_size=1, ts_event=NOW, ts_recv=NOW,
                          provenance=Provenance.SIMULATED))

    assert cache.reach("MNQ", NOW) == (204, 204)
    assert not cache.is_shut("MNQ")


def test_a_bar_of_something_undefined_is_no_quote():
    cache = QuoteCache({})
    cache.on_market(a_bar(MINUTE))

    assert cache.quote("MNQ") is None
    assert cache.quote("ES") is None


def test_a_read_that_fails_leaves_the_book_as_it_was():
    desk = Desk(position="2")

    async def broken(_):
        raise RuntimeError("no answer")
    desk.venue.read = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        run(desk.safe.read(ACCOUNT))

    desk.place(desk.exit_order())
