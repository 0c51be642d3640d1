"""What the venue does with orders, in its own words and to the cent."""

import pytest
from tests.brokers.paper.rig import MNQ, A, B, D, Rig, Rules, bracket, filled, leg, order, run

from interlock.brokers.paper import Paper
from interlock.errors import ConfigError, NotSent, OutcomeUnknown, Unsupported
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Provenance, Quote
from interlock.model.money import DAY, SECOND
from interlock.model.order import Outcome
from interlock.model.report import OrderFilled, OrderFound, OrderMissing


def test_an_order_is_acknowledged_at_once_and_reaches_the_book_a_quarter_of_a_second_later(rig):
    rig.place(bracket())
    assert rig.told() == [("ack", "entry", "live"), ("ack", "stop", "waiting"), ("ack", "target", "waiting")]
    assert rig.venue.next_due() == rig.now + SECOND // 4

    assert rig.wait(SECOND // 4 - 1) == []
    assert rig.wait(1) == [("fill", "entry", "2 @ 20000.5"), ("ack", "stop", "live 2"), ("ack", "target", "live 2")]


def test_a_late_market_message_finds_the_order_in_the_book_already(rig):
    rig.place(bracket())

    told = rig.quote("20010", "20010.25", after=SECOND)

    assert ("fill", "entry", "2 @ 20000.5") in told, "it arrived before the quote that came later"


def test_cash_and_position_after_a_round_trip(rig):
    filled(rig)
    rig.told()
    read = rig.read()
    assert [(p.instrument, p.quantity, p.average_price) for p in read.positions] == [("MNQ", D(2), D("20000.5"))]
    assert read.cash == D("50000") - D("1.24")

    assert rig.trade("20020.25") == [("fill", "target", "2 @ 20020"), ("cancelled", "stop", "one cancels the other")]

    read = rig.read()
    assert read.positions == ()
    assert read.orders == ()
    assert read.cash == D("50000") + D("78") - D("2.48"), "19.50 points of two dollars twice, four sides of .62"
    assert [(fill.side.value, fill.price, fill.commission) for fill in read.fills] == [
        ("buy", D("20000.5"), D("1.24")), ("sell", D("20020"), D("1.24"))]


def test_the_mean_price_moves_with_additions_and_starts_anew_beyond_zero(rig):
    rig.place(order(leg("a", "buy", "1")))
    rig.wait(SECOND)
    rig.quote("20010", "20010.25")
    rig.place(order(leg("b", "buy", "3")))
    rig.wait(SECOND)
    assert rig.read().positions[0].average_price == D("20008")      # (20000.50 + 3 * 20010.50) / 4

    rig.place(order(leg("c", "sell", "6")))
    rig.wait(SECOND)
    held = rig.read().positions[0]
    assert (held.quantity, held.average_price) == (D(-2), D("20009.75"))
    assert rig.read().cash == D(50_000) + D("14") - D("6.20"), "4 * 1.75 points of two dollars, ten sides of .62"


def test_a_read_shows_the_whole_account(rig):
    filled(rig)
    read = rig.read()

    assert (read.account, read.account_id, read.currency) == (A, "PAPER-0001-paper-1", "USD")
    assert (read.environment, read.connection, read.ts_event) == ("paper_sim", 1, rig.now)
    assert [(o.client_order_id, o.quantity, o.filled, o.is_live, o.is_protective, o.stop, o.limit)
            for o in read.orders] == [
        ("stop", D(2), D(0), True, True, D("19990"), None), ("target", D(2), D(0), True, False, None, D("20020"))]
    assert rig.read(B).orders == ()


def test_only_fills_of_the_last_day_are_read(rig):
    filled(rig)
    rig.wait(DAY)

    assert rig.read().fills == ()


@pytest.mark.parametrize(("bad", "reason"), [
    (order(leg("x", "buy", "1"), symbol="NOPE"), "unknown_symbol"),
    (order(leg("x", "buy", "1"), account="nobody"), "unknown_account"),
    (order(leg("x", "buy", "1", "limit", "20000.10")), "bad_tick"),
    (order(leg("x", "buy", "1.5")), "bad_lot"),
    (order(leg("x", "buy", "1"), leg("y", "buy", "1", "stop", "19990", "protect")), "bad_legs"),
    (order(leg("x", "buy", "1"), leg("y", "sell", "2", "stop", "19990", "protect")), "bad_legs"),
    (order(leg("x", "buy", "1"), leg("x", "sell", "1", "stop", "19990", "protect")), "bad_legs"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_no_order_here_is_rejected_with_every_leg(rig, bad, reason):
    rig.place(bad)

    assert rig.told() == [("rejected", leg.client_order_id, reason) for leg in bad.legs]
    assert rig.wait(SECOND) == []


def test_a_rejected_order_can_be_looked_up(rig):
    rig.place(order(leg("x", "buy", "1", "limit", "20000.10")))

    found = rig.lookup("x")

    assert isinstance(found, OrderFound)
    assert found.outcome is Outcome.REJECTED


def test_an_id_is_used_once_and_the_answer_says_how_it_stands(rig):
    filled(rig)
    rig.told()

    rig.place(order(leg("stop", "sell", "1")))

    assert rig.told() == [("rejected", "stop", "duplicate_client_order_id"), ("order_found", "stop", "")]
    assert rig.read().positions[0].quantity == 2


def test_the_same_id_in_two_accounts_is_two_orders(rig):
    rig.place(bracket())
    rig.place(bracket(account=B))
    rig.wait(SECOND)

    assert rig.read(A).positions[0].quantity == rig.read(B).positions[0].quantity == 2


def test_a_shut_market_rejects_or_keeps_the_order_for_later():
    strict, patient = Rig(when_closed="reject"), Rig()
    for rig in (strict, patient):
        rig.quote("20000", "20000.25")
        rig.state(is_open=True, is_halted=True)
        rig.place(order(leg("x", "buy", "1")))

    assert strict.told() == [("rejected", "x", "market_halted")]
    assert patient.told() == [("ack", "x", "live")]
    assert patient.wait(SECOND) == []
    patient.state(is_open=True)
    assert patient.wait(SECOND) == [], "the quote from before the halt is no price"
    assert patient.quote("19000", "19000.25") == [("fill", "x", "1 @ 19000.5")]


def test_after_a_halt_the_quote_from_before_is_no_price(rig):
    rig.state(is_open=True, is_halted=True)
    rig.state(is_open=True)
    rig.place(order(leg("x", "buy", "1")))
    rig.told()

    assert rig.wait(SECOND) == []
    assert rig.quote("19000", "19000.25") == [("fill", "x", "1 @ 19000.5")]


def test_day_orders_end_with_the_session_and_others_stay(rig):
    rig.place(order(leg("day", "buy", "1", "limit", "19000", tif="day")))
    rig.place(order(leg("gtc", "buy", "1", "limit", "19000")))
    rig.wait(SECOND)

    assert rig.state(is_open=False) == [("order_expired", "day", "")]
    assert [o.client_order_id for o in rig.read().orders] == ["gtc"]
    assert rig.lookup("day").outcome is Outcome.EXPIRED


def test_a_cancel_takes_a_quarter_of_a_second_and_a_fill_may_be_faster(rig):
    rig.place(order(leg("slow", "buy", "1", "limit", "19999")))
    rig.place(order(leg("fast", "buy", "1", "limit", "19998")))
    rig.wait(SECOND)
    rig.cancel("slow")
    rig.cancel("fast")

    assert rig.trade("19998.50") == [("fill", "slow", "1 @ 19999")]
    assert rig.wait(SECOND) == [("cancel_rejected", "slow", "order_closed"),
                                ("cancelled", "fast", "cancelled by its owner")]


def test_what_cannot_be_cancelled_is_said(rig):
    filled(rig)
    rig.told()
    rig.cancel("nothing")
    rig.cancel("entry")

    assert rig.told() == [("cancel_rejected", "nothing", "unknown_order"), ("cancel_rejected", "entry", "order_closed")]


def test_an_order_can_be_cancelled_before_it_reaches_the_book():
    rig = Rig(rules=Rules(cancel_latency=0))
    rig.quote("20000", "20000.25")
    rig.place(bracket())
    rig.told()
    rig.cancel("entry")

    assert [what[:2] for what in rig.told()] == [("cancelled", "entry"), ("cancelled", "stop"), ("cancelled", "target")]
    assert rig.wait(SECOND) == []


def test_a_replacement_takes_the_place_of_the_old_order(rig):
    filled(rig)
    rig.told()
    rig.modify(order(leg("stop2", "sell", "2", "stop", "19995", "protect"), replaces="stop"))
    assert rig.told() == []

    assert rig.wait(SECOND // 4) == [("ack", "stop2", "live"), ("cancelled", "stop", "replaced by stop2")]
    assert [(o.client_order_id, o.stop, o.quantity) for o in rig.read().orders if o.is_protective] == [
        ("stop2", D("19995"), D(2))]
    rig.trade("19995")
    assert rig.quote("19994", "19994.25") == [("fill", "stop2", "2 @ 19994"),
                                              ("cancelled", "target", "one cancels the other")]


def test_a_replacement_that_comes_too_late_is_rejected(rig):
    filled(rig)
    rig.modify(order(leg("target2", "sell", "2", "limit", "20030", "target"), replaces="target"))
    rig.trade("20020.25")
    rig.told()

    assert rig.wait(SECOND) == [("rejected", "target2", "replaced_order_closed")]
    rig.modify(order(leg("target3", "sell", "2", "limit", "20030", "target"), replaces="target"))
    assert rig.told() == [("rejected", "target3", "replaced_order_closed")]
    rig.modify(order(leg("target4", "sell", "2", "limit", "20030", "target"), replaces="never"))
    assert rig.told() == [("rejected", "target4", "unknown_replaced_order")]


def test_what_a_venue_lacks_is_not_encoded():
    rig = Rig(native=False, replace=False)

    with pytest.raises(Unsupported, match="3 legs"):
        rig.broker.encode(bracket())
    with pytest.raises(Unsupported, match="cannot replace"):
        rig.broker.encode(order(leg("y", "buy", "1"), replaces="x"))


def test_a_look_up_may_miss_an_order_during_the_visibility_delay():
    rig = Rig(visibility=2 * SECOND)
    rig.quote("20000", "20000.25")
    rig.place(order(leg("x", "buy", "1", "limit", "19000")))

    assert rig.broker.capabilities.visibility_delay == 2 * SECOND
    assert isinstance(rig.lookup("x"), OrderMissing)
    assert rig.read().orders == ()
    rig.wait(2 * SECOND)
    assert isinstance(rig.lookup("x"), OrderFound)


def test_an_account_that_is_not_there_cannot_be_read(rig):
    with pytest.raises(OutcomeUnknown, match="nobody"):
        rig.read("nobody")


def test_a_proof_per_account_in_unbroken_sequence(rig):
    first, second = rig.broker.ping(7), rig.broker.ping(8)

    assert [(p.account, p.sequence, p.ts_recv) for p in first + second] == [(A, 1, 7), (B, 1, 7), (A, 2, 8), (B, 2, 8)]


def test_bytes_at_the_venue_are_counted_by_kind(rig):
    before = rig.wire.order_bytes_to_venue
    encoded = rig.broker.encode(bracket())
    rig.read()
    assert rig.wire.order_bytes_to_venue == before == 0

    rig.place(bracket())

    assert rig.wire.order_bytes_to_venue == len(encoded.body)
    assert rig.wire.messages_by_kind == {"read": 1, "place": 1}
    assert rig.wire.messages_to_venue == 2
    assert rig.wire.bytes_to_venue == sum(rig.wire.bytes_by_kind.values())


def test_after_close_nothing_leaves(rig):
    run(rig.broker.close())

    with pytest.raises(NotSent, match="closed"):
        rig.place(bracket())


def test_a_request_is_received_at_the_time_of_the_clock():
    class Clock:
        ts = 100 * SECOND

        def now(self):
            return self.ts

    clock = Clock()
    rig = Rig(clock=clock)
    rig.quote("20000", "20000.25", after=100 * SECOND)
    clock.ts += 2 * SECOND
    rig.place(bracket())

    assert rig.venue.next_due() == clock.ts + SECOND // 4


def test_bars_move_the_venue_too(rig):
    rig = Rig()
    rig.bar("20000", "20001", "19999", "20000")
    rig.place(bracket())
    rig.wait(SECOND)

    assert rig.bar("20000", "20025", "19989", "20010") == [
        ("fill", "stop", "2 @ 19990"), ("cancelled", "target", "one cancels the other")]


def test_an_instrument_has_one_symbol():
    with pytest.raises(ConfigError, match="one symbol per instrument"):
        Paper({"MNQ": MNQ, "MNQZ5": MNQ}, {A: D(1)})


def test_reports_name_the_instrument_and_not_the_venues_symbol():
    paper = Paper({"MNQZ5": INSTRUMENTS["MNQ"]}, {A: D(50_000)})
    rig = Rig()
    rig.paper, rig.broker, rig.venue = paper, paper.broker, paper.venue
    rig.quote("20000", "20000.25")
    rig.place(order(leg("x", "buy", "1"), symbol="MNQZ5"))
    rig.paper.advance(rig.now + SECOND)

    fill = rig.broker.drain()[1]
    assert isinstance(fill, OrderFilled)
    assert fill.instrument == "MNQ"
    assert rig.read().positions[0].instrument == "MNQ"


def test_crypto_lots_are_exact():
    btc = INSTRUMENTS["BTCUSD"]
    paper = Paper({"BTCUSD": btc}, {A: D(50_000)})
    paper.on_market(Quote("BTCUSD", btc.increments(D("64000")), btc.increments(D("64000.04")), 10_000, 10_000, 1, 1,
                          Provenance.SIMULATED))
    run(paper.broker.place(paper.broker.encode(order(leg("x", "buy", "0.2753"), symbol="BTCUSD"))))
    paper.advance(SECOND)

    held = run(paper.broker.read(A)).positions[0]
    assert (held.quantity, held.average_price) == (D("0.2753"), D("64000.05"))
