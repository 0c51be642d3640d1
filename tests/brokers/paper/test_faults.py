"""Every verb of a fault plan, each shown by what it does to the caller, the reports and the venue's own account."""

import asyncio

import pytest
from tests.brokers.paper.rig import A, D, Fault, Rig, Verb, bracket, leg, order, run

from interlock.brokers.paper import Plan
from interlock.brokers.paper.plan import Place
from interlock.errors import ConfigError, NotSent, OutcomeUnknown
from interlock.model.money import SECOND
from interlock.model.report import LineChanged, OrderFilled, OrderFound, OrderMissing


def rig_with(*faults: Fault) -> Rig:
    rig = Rig(*faults)
    rig.quote("20000", "20000.25", after=SECOND)
    return rig


def position(rig: Rig):
    return sum((held.quantity for held in rig.read().positions), D(0))


def test_latency_holds_the_bytes_back_and_the_call_with_them():
    rig = rig_with(Fault(on="place", verb=Verb.LATENCY, nth=2, delay=3 * SECOND))
    rig.place(order(leg("a", "buy", "1")))
    call = rig.broker.place(rig.broker.encode(order(leg("b", "buy", "1"))))

    call.send(None)
    assert rig.wire.messages_by_kind["place"] == 1
    rig.wait(3 * SECOND)
    with pytest.raises(StopIteration):
        call.send(None)
    assert rig.told()[-1] == ("ack", "b", "live")


def test_latency_in_an_event_loop_lets_others_go_on():
    rig = rig_with(Fault(on="place", verb=Verb.LATENCY, delay=SECOND))

    async def main():
        placing = asyncio.create_task(rig.broker.place(rig.broker.encode(order(leg("a", "buy", "1")))))
        await asyncio.sleep(0)
        assert not placing.done()
        rig.wait(SECOND)
        await placing

    asyncio.run(main())
    assert rig.wire.messages_by_kind["place"] == 1


def test_a_dropped_request_never_arrives_and_nobody_knows():
    rig = rig_with(Fault(on="place", verb=Verb.DROP_REQUEST))

    with pytest.raises(OutcomeUnknown, match="entry"):
        rig.place(bracket())

    assert rig.wire.bytes_to_venue == 0
    assert isinstance(rig.lookup("entry"), OrderMissing)


def test_a_dropped_answer_leaves_the_order_alive():
    rig = rig_with(Fault(on="place", verb=Verb.DROP_RESPONSE))

    with pytest.raises(OutcomeUnknown):
        rig.place(bracket())

    assert isinstance(rig.lookup("entry"), OrderFound)
    rig.wait(SECOND)
    assert position(rig) == 2


def test_an_error_answer_after_acceptance_leaves_the_order_alive():
    rig = rig_with(Fault(on="place", verb=Verb.ACCEPT_THEN_ERROR, reason="502 bad gateway"))

    with pytest.raises(OutcomeUnknown, match="502"):
        rig.place(bracket())

    assert rig.told()[0] == ("ack", "entry", "live")


def test_a_silent_venue_answers_proves_and_reports_nothing_until_it_speaks_again():
    rig = rig_with(Fault(on="lookup", verb=Verb.SILENCE, delay=10 * SECOND))
    rig.place(bracket())
    rig.told()

    with pytest.raises(OutcomeUnknown):
        rig.lookup("entry")
    with pytest.raises(OutcomeUnknown):
        rig.read()
    with pytest.raises(OutcomeUnknown):
        rig.place(order(leg("x", "buy", "1")))
    assert rig.broker.ping(1) == []
    assert rig.wait(9 * SECOND) == []

    assert [what[0] for what in rig.wait(SECOND)] == ["fill", "ack", "ack"], "what happened meanwhile is told now"
    assert len(rig.broker.ping(2)) == 2
    assert isinstance(rig.lookup("x"), OrderMissing)


def test_a_silence_without_end_is_ended_by_hand(rig):
    rig.wire.silence()
    rig.wait(1000 * SECOND)
    assert rig.broker.ping(1) == []

    rig.wire.heal()
    assert len(rig.broker.ping(2)) == 2


def test_a_lost_line_is_reported_and_what_happens_meanwhile_is_only_in_the_snapshot():
    rig = rig_with(Fault(on="lookup", verb=Verb.DISCONNECT, delay=5 * SECOND, reason="reset by peer"))
    rig.place(bracket())
    rig.broker.drain()
    with pytest.raises(OutcomeUnknown):
        rig.lookup("entry")

    lost = rig.broker.drain()
    assert [(r.account, r.is_up, r.reason) for r in lost if isinstance(r, LineChanged)] == [
        ("paper-1", False, "reset by peer"), ("paper-2", False, "reset by peer")]
    with pytest.raises(NotSent):
        rig.place(order(leg("x", "buy", "1")))
    with pytest.raises(NotSent):
        rig.cancel("entry")
    with pytest.raises(OutcomeUnknown):
        rig.read()
    assert rig.broker.ping(1) == []
    with pytest.raises(NotSent):
        run(rig.broker.reconnect())

    assert rig.wait(5 * SECOND) == [], "the fill of the entry went to nobody"
    run(rig.broker.reconnect())
    assert [(r.is_up, r.connection) for r in rig.broker.drain() if isinstance(r, LineChanged)] == [(True, 2), (True, 2)]
    read = rig.read()
    assert read.connection == 2
    assert [fill.client_order_id for fill in read.fills] == ["entry"]


def test_a_reject_by_plan():
    rig = rig_with(Fault(on="place", verb=Verb.REJECT, nth=0, reason="no_margin"))
    rig.place(bracket())

    assert rig.told() == [("rejected", id, "no_margin") for id in ("entry", "stop", "target")]


def test_a_reject_after_the_acknowledgement():
    rig = rig_with(Fault(on="place", verb=Verb.ACK_THEN_REJECT, delay=SECOND, reason="late_check"))
    rig.place(order(leg("x", "buy", "1", "limit", "19000")))

    assert rig.told() == [("ack", "x", "live")]
    assert rig.wait(SECOND) == [("rejected", "x", "late_check")]


def test_a_fill_before_its_acknowledgement():
    rig = rig_with(Fault(on="place", verb=Verb.FILL_BEFORE_ACK))
    rig.place(order(leg("x", "buy", "1")))

    assert rig.told() == []
    assert rig.wait(SECOND) == [("fill", "x", "1 @ 20000.5"), ("ack", "x", "live")]


def test_an_order_that_cannot_be_seen_yet():
    rig = rig_with(Fault(on="place", verb=Verb.VISIBILITY_DELAY, delay=5 * SECOND))
    rig.place(order(leg("x", "buy", "1", "limit", "19000")))

    assert isinstance(rig.lookup("x"), OrderMissing)
    rig.wait(5 * SECOND)
    assert isinstance(rig.lookup("x"), OrderFound)


def test_a_cancel_that_is_refused():
    rig = rig_with(Fault(on="cancel", verb=Verb.REJECT_CANCEL, reason="try_later"))
    rig.place(order(leg("x", "buy", "1", "limit", "19000")))
    rig.wait(SECOND)
    rig.cancel("x")

    assert rig.told() == [("cancel_rejected", "x", "try_later")]
    rig.cancel("x")
    assert rig.wait(SECOND) == [("cancelled", "x", "cancelled by its owner")]


def test_a_fill_instead_of_a_cancel():
    rig = rig_with(Fault(on="cancel", verb=Verb.FILL_ON_CANCEL))
    rig.place(order(leg("x", "buy", "1", "limit", "19000")))
    rig.wait(SECOND)
    rig.cancel("x")

    assert rig.wait(SECOND) == [("fill", "x", "1 @ 19000"), ("cancel_rejected", "x", "order_closed")]


def test_a_fill_after_the_cancel_was_confirmed():
    rig = rig_with(Fault(on="cancel", verb=Verb.FILL_AFTER_CANCEL_ACK, delay=2 * SECOND))
    rig.place(order(leg("x", "buy", "3", "limit", "19000")))
    rig.wait(SECOND)
    rig.cancel("x")

    assert rig.wait(SECOND) == [("cancelled", "x", "cancelled by its owner")]
    assert position(rig) == 0
    assert rig.wait(2 * SECOND) == [("fill", "x", "3 @ 19000")]
    assert position(rig) == 3


def test_a_part_of_what_would_fill():
    rig = rig_with(Fault(on="fill", verb=Verb.PARTIAL, fraction=D("0.3")))
    rig.place(bracket("10"))
    rig.told()

    assert rig.wait(SECOND) == [("fill", "entry", "3 @ 20000.5"), ("ack", "stop", "live 3"),
                                ("ack", "target", "live 3")]
    assert rig.quote("20000", "20000.25") == [("fill", "entry", "7 @ 20000.5"), ("ack", "stop", "live 10"),
                                              ("ack", "target", "live 10")]


def test_more_than_was_ordered():
    rig = rig_with(Fault(on="fill", verb=Verb.OVERFILL, fraction=D("0.1")))
    rig.place(order(leg("x", "buy", "10")))
    rig.told()

    assert rig.wait(SECOND) == [("fill", "x", "11 @ 20000.5")]
    assert position(rig) == 11, "it is booked as it was"


def test_a_report_that_comes_twice_has_one_execution():
    rig = rig_with(Fault(on="fill", verb=Verb.DUPLICATE_REPORT, delay=SECOND))
    rig.place(order(leg("x", "buy", "1")))
    rig.paper.advance(rig.now + 3 * SECOND)

    fills = [report for report in rig.broker.drain() if isinstance(report, OrderFilled)]
    assert len(fills) == 2
    assert fills[0] == fills[1]
    assert position(rig) == 1


def test_a_late_report_and_one_that_never_comes():
    rig = rig_with(Fault(on="ack", verb=Verb.LATE_REPORT, delay=2 * SECOND), Fault(on="fill", verb=Verb.DROP_REPORT))
    rig.place(order(leg("x", "buy", "1")))

    assert rig.wait(SECOND) == []
    assert rig.wait(SECOND) == [("ack", "x", "live")]
    assert position(rig) == 1


def test_a_verb_on_something_it_cannot_strike_is_refused():
    with pytest.raises(ConfigError, match="overfill acts on fill; found 'cancel'"):
        Fault(on="cancel", verb=Verb.OVERFILL)
    with pytest.raises(ConfigError, match="fraction"):
        Fault(on="fill", verb=Verb.PARTIAL, fraction=D("NaN"))


def test_chance_is_drawn_from_the_seed_and_faults_do_not_move_each_other():
    faults = [Fault(on="place", verb=Verb.REJECT, chance=0.5), Fault(on="place", verb=Verb.DROP_RESPONSE, chance=0.5)]

    def draws(faults, seed, place=Place.DESK):
        plan = Plan(faults, seed)
        return [bool(plan.due(place, "place")) for _ in range(64)]

    assert draws(faults, 1) == draws(faults, 1)
    assert draws(faults, 1) != draws(faults, 2)
    assert draws(faults, 1) == draws(faults[:1], 1)
    assert 16 < sum(draws(faults, 1)) < 48


def test_what_fired_is_counted():
    plan = Plan([Fault(on="fill", verb=Verb.DROP_REPORT, nth=2)])
    for _ in range(3):
        plan.due(Place.STREAM, "fill")

    assert plan.fired == {Verb.DROP_REPORT: 1}


def test_a_reader_in_an_event_loop_is_woken_by_a_report(rig):
    async def main():
        reading = asyncio.create_task(anext(rig.broker.reports()))
        await asyncio.sleep(0)
        assert not reading.done()
        await rig.broker.place(rig.broker.encode(order(leg("x", "buy", "1"))))
        return await reading

    assert asyncio.run(main()).client_order_id == "x"


def test_a_reader_ends_when_the_broker_is_closed(rig):
    async def main():
        reading = asyncio.create_task(_collect(rig.broker.reports()))
        await asyncio.sleep(0)
        await rig.broker.close()
        return await reading

    assert asyncio.run(main()) == []


async def _collect(reports):
    return [report async for report in reports]


def test_a_line_that_broke_on_the_way_leaves_doubt():
    rig = rig_with(Fault(on="place", verb=Verb.LATENCY, delay=SECOND))
    call = rig.broker.place(rig.broker.encode(order(leg("a", "buy", "1"), account=A)))
    call.send(None)
    rig.wire.disconnect("reset")
    rig.wait(SECOND)

    with pytest.raises(OutcomeUnknown):
        run(call)
