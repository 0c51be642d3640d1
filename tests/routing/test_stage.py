"""Every account of a lane gets the intent or a receipt; what stops us getting in never stops us getting out."""

from decimal import Decimal

import pytest

from interlock.errors import ConfigError
from interlock.model.codes import Code
from interlock.model.command import AccountDisabled, AccountEnabled
from interlock.model.ids import AccountName, LaneName, SignalId, StrategyName
from interlock.model.instrument import Kind
from interlock.model.signal import AccountIntent, Intent, Purpose, RouteRefused, Side, Source
from interlock.routing.codes import ROUTING
from interlock.routing.stage import AccountRoute, GroupGate, LaneRoute, Routing

ONE, TWO, OLD = AccountName("one"), AccountName("two"), AccountName("old")
FUTURES, CRYPTO, NARROW = LaneName("futures"), LaneName("crypto"), LaneName("narrow")


def wish(instrument: str = "MNQ", lane: LaneName = FUTURES, purpose: Purpose = Purpose.ENTER) -> Intent:
    return Intent(signal_id=SignalId("s"), lane=lane, strategy=StrategyName("t"), source=Source.ALERTS,
                  instrument=instrument, side=Side.BUY, purpose=purpose, why="", ts_decided=0,
                  stop=Decimal(1) if purpose is Purpose.ENTER else None)


def desk(one: AccountRoute | None = None) -> Routing:
    accounts = (one or AccountRoute(account=ONE), AccountRoute(account=TWO))
    return Routing([LaneRoute(lane=FUTURES, accounts=accounts, kinds=(Kind.FUTURE,)),
                    LaneRoute(lane=CRYPTO, accounts=accounts, kinds=(Kind.CRYPTO,)),
                    LaneRoute(lane=NARROW, accounts=accounts, symbols=("MES",)),
                    LaneRoute(lane=LaneName("empty"), accounts=())])


def answers(routing: Routing, intent: Intent) -> list[tuple[str | None, str]]:
    """(account, code) of each answer; "" for an intent that goes on."""
    return [(item.account, item.code if isinstance(item, RouteRefused) else "")
            for item in routing.route(intent, routing.disabled)]


def test_an_intent_goes_to_every_account_of_its_lane_in_order():
    routed = list(desk().route(wish(), {}))

    assert routed == [AccountIntent(wish(), ONE), AccountIntent(wish(), TWO)]


@pytest.mark.parametrize(("intent", "code"), [
    (wish("BTCUSD"), "route.lane_kind"), (wish("MNQ", CRYPTO), "route.lane_kind"), (wish("NOPE"), "route.lane_kind"),
    (wish("MNQ", NARROW), "route.lane_symbol"), (wish(lane=LaneName("gone")), "route.lane_unknown"),
    (wish(lane=LaneName("empty")), "route.no_account")])
def test_a_lane_refuses_what_is_not_its_own_with_one_receipt(intent, code):
    assert answers(desk(), intent) == [(None, code)]


@pytest.mark.parametrize(("route", "code"), [
    (AccountRoute(account=ONE, symbols=("MES",)), "route.account_symbol"),
    (AccountRoute(account=ONE, groups=(GroupGate(name="g", is_open=False),)), "route.group_closed"),
    (AccountRoute(account=ONE, groups=(GroupGate(name="g", symbols=("MES",)),)), "route.group_symbol")])
def test_one_accounts_refusal_leaves_the_other_alone(route, code):
    assert answers(desk(route), wish()) == [(ONE, code), (TWO, "")]


def test_a_disabled_account_gets_a_receipt_with_its_reason_until_it_is_enabled():
    routing = desk()
    routing.apply(AccountDisabled(ONE, "payout pending"), 1)

    refused = next(iter(routing.route(wish(), routing.disabled)))
    assert isinstance(refused, RouteRefused)
    assert (refused.code, "payout pending" in refused.reason) == ("route.account_disabled", True)
    routing.apply(AccountEnabled(ONE), 2)
    assert answers(routing, wish()) == [(ONE, ""), (TWO, "")]


def test_an_exit_meets_no_gate_and_reaches_every_holder():
    routing = desk(AccountRoute(account=ONE, symbols=("MES",), groups=(GroupGate(name="g", is_open=False),)))
    routing.apply(AccountDisabled(TWO, "off"), 1)

    routed = list(routing.route(wish("BTCUSD", purpose=Purpose.REDUCE), routing.disabled, holders=(OLD, ONE)))

    assert [item.account for item in routed if isinstance(item, AccountIntent)] == [ONE, TWO, OLD]


def test_a_restart_remembers_who_is_disabled():
    routing, other = desk(), desk()
    routing.apply(AccountDisabled(ONE, "off"), 1)

    other.restore(routing.snapshot())

    assert other.disabled == {ONE: "off"}
    assert other.snapshot() == routing.snapshot()


def test_a_lane_stands_once():
    lane = LaneRoute(lane=FUTURES, accounts=())
    with pytest.raises(ConfigError, match="once"):
        Routing([lane, lane])


def test_every_code_that_routing_can_say_is_in_its_catalogue():
    known = {code.code for code in ROUTING}

    assert all(isinstance(code, Code) for code in ROUTING)
    said = {"route.lane_kind", "route.lane_symbol", "route.lane_unknown", "route.no_account", "route.account_symbol",
            "route.group_closed", "route.group_symbol", "route.account_disabled"}
    assert said == known
