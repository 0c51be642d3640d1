"""A quiet day on MNQ: a view that the whole enter profile allows, and the intents that go with it."""

from decimal import Decimal
from typing import Any

import msgspec

from interlock.gate.judge import judge
from interlock.gate.registry import GateRules, checks_for
from interlock.model.account import Truth
from interlock.model.ids import AccountName, ClientOrderId, LaneName, SignalId, StrategyName, client_order_id
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Provenance, Quality
from interlock.model.money import MINUTE, SECOND
from interlock.model.order import PROFILES, Leg, Order, OrderType
from interlock.model.signal import AccountIntent, Intent, Purpose, Side, Source
from interlock.model.verdict import Allow, Sized, SizedIntent, Verdict
from interlock.model.view import (
    AccountView,
    DecisionView,
    Definition,
    Feature,
    GateView,
    HeldView,
    Limits,
    Mark,
    Memory,
    PendingView,
    Regime,
    RestingView,
    Session,
    SourceRecord,
)

NOW = 1_700_000_000 * SECOND
D = Decimal
ACCOUNT, LANE, STRATEGY = AccountName("paper-1"), LaneName("main"), StrategyName("drive")
RULES = GateRules()


def a_mark(symbol: str = "MNQ", bid: str = "18000.00", ask: str = "18000.25", **changes: Any) -> Mark:
    return Mark(**{"instrument": symbol, "bid": D(bid), "ask": D(ask), "bid_size": 50, "ask_size": 50,
                   "ts_event": changes.get("ts_recv", NOW),
                   "ts_recv": NOW, "provenance": Provenance.SIMULATED, "quality": Quality.OK, "fresh_until": 0,
                   "is_open": True, "is_halted": False, **changes})


def an_account(**changes: Any) -> AccountView:
    return AccountView(**{
        "account": ACCOUNT, "account_id": "P-1", "truth": Truth.PAPER_SIM, "is_enabled": True, "frozen_by": None,
        "is_line_up": True, "ts_proof": NOW, "currency": "USD", "equity": D(50_000), "balance": D(50_000),
        "day_pnl": D(0), "week_pnl": D(0), "day_start_equity": D(50_000), "consecutive_losses": 0, "margin_used": None,
        "position": D(0), "broker_position": D(0), "orders_last_minute": 0, "value_last_minute": D(0), "ts_read": NOW,
        **changes})


def some_limits(**changes: Any) -> Limits:
    return Limits(**{"notional_per_order": D(2_000_000), "position_per_symbol": D(20), "orders_per_minute": 60,
                     "daily_loss": D(5_000), "symbols": (), **changes})


def a_definition(symbol: str = "MNQ", **changes: Any) -> Definition:
    """As the broker tells it: the same numbers that we have, no expiry, no margin."""
    ours = INSTRUMENTS[symbol]
    return Definition(**{"instrument": symbol, "tick": ours.tick, "lot": ours.lot, "multiplier": ours.multiplier,
                         "currency": ours.currency, **changes})


def a_session(**changes: Any) -> Session:
    return Session(**{"is_open": True, "is_known": True, "trade_date": "2023-11-14", "ts_open": NOW - 600 * MINUTE,
                      "ts_close": NOW + 600 * MINUTE, "ts_flat": NOW + 600 * MINUTE, "local_minute": 973,
                      "zone": "America/Chicago", **changes})


def a_feature(name: str, value: float | None, **changes: Any) -> Feature:
    return msgspec.structs.replace(Feature(name, value, Quality.OK, NOW), **changes)


def the_features(atr: float = 12.0, trajectory: float = 0.8, first: float = 0.5, second: float = 0.6
                 ) -> tuple[Feature, ...]:
    return (a_feature("atr", atr), a_feature("trajectory", trajectory), a_feature("trajectory_first", first),
            a_feature("trajectory_second", second))


def a_record(*results: str, slippage: tuple[str, ...] = (), ts_last: int | None = None) -> SourceRecord:
    return SourceRecord(r_multiples=tuple(map(D, results)), slippage=tuple(map(D, slippage)), ts_last=ts_last)


GOOD = ("1.5", "-1") * 10


def a_view(**changes: Any) -> GateView:
    """Everything in order. Changes named `account_x` go to the account, `mark_x` to the mark, the rest to the view."""
    account = {key[8:]: changes.pop(key) for key in list(changes) if key.startswith("account_")}
    mark = {key[5:]: changes.pop(key) for key in list(changes) if key.startswith("mark_")}
    symbol = changes.pop("symbol", "MNQ")
    instrument = INSTRUMENTS[symbol]
    return GateView(**{
        "now": NOW, "lane": LANE, "strategy": STRATEGY, "source": Source.BARS, "instrument": instrument,
        "mark": a_mark(symbol, **mark), "session": a_session(), "account": an_account(**account), "held": (),
        "pending": (), "all_orders_last_minute": 0, "all_day_pnl": D(0), "kill_epoch": 0, "killed_by": None, "tier": 0,
        "tier_reasons": (), "regime_detector": "structure", "regime": Regime("structure", "trend_up", NOW),
        "features": the_features(), "clock_offset": 0, "record": a_record(*GOOD),
        "memory": Memory(ts_stop_outs=(), ts_entries=(), entries_today=(), signal_keys=()), "limits": some_limits(),
        "signal_key": "bars:NQ:buy:1", "definition": a_definition(symbol), "resting": (), "all_notional": D(0),
        "all_value_last_minute": D(0),
        "window": (D("17990"), D("18010")) if symbol == "MNQ" else (D(mark.get("bid", "18000")), D(mark.get("ask", "18000.25"))),
        **changes})


def asked(view: GateView | None = None, **changes: Any) -> AccountIntent:
    """A buy of MNQ at market with its stop 10 points below, for the account, lane and source of the view."""
    view = view or a_view()
    return AccountIntent(Intent(**{
        "signal_id": SignalId("s" * 18), "lane": view.lane, "strategy": view.strategy, "source": view.source,
        "instrument": view.instrument.symbol, "side": Side.BUY, "purpose": Purpose.ENTER, "why": "test",
        "ts_decided": NOW, "stop": D("17990.25"), "target": D("18020.25"), "reference": D("18000.125"),
        "setup": "continuation", **changes}), view.account.account)


def an_exit(view: GateView, purpose: Purpose = Purpose.PROTECT, **changes: Any) -> AccountIntent:
    plain: dict[str, Any] = {"side": Side.SELL, "purpose": purpose, "target": None, "setup": "", "reference": None}
    if purpose is not Purpose.PROTECT:
        plain["stop"] = None
    if purpose is Purpose.TARGET:
        plain["limit"] = D("18020.25")
    return asked(view, **{**plain, **changes})


def holding(quantity: str = "2", broker: str | None = None, **changes: Any) -> GateView:
    """The same day with an open position."""
    return a_view(**{"account_position": D(quantity), "held": (a_held(quantity=D(quantity)),),
                     "account_broker_position": D(quantity if broker is None else broker), "decision": a_decision(), **changes})


def a_decision(**changes: Any) -> DecisionView:
    """A flatten of everything that a person has just given; a test's flatten names it "owner"."""
    return DecisionView(**{"command": "owner", "who": "test", "origin": "cli", "seen": "s" * 16, "ts": NOW, "instrument": None,
                           **changes})


def a_held(**changes: Any) -> HeldView:
    return HeldView(**{"account": ACCOUNT, "instrument": "MNQ", "quantity": D(2), "notional": D(72_000),
                       "risk": D(40), "source": Source.BARS, "group": "index", "parent": "NQ", **changes})


def a_resting(price: str, **changes: Any) -> RestingView:
    """An offer of ours in the book."""
    return RestingView(**{"account": ACCOUNT, "client_order_id": ClientOrderId("r" * 18), "side": Side.SELL, "price": D(price),
                          "instrument": "MNQ", **changes})


def a_pending(**changes: Any) -> PendingView:
    return PendingView(**{"account": ACCOUNT, "instrument": "MNQ", "side": Side.BUY, "remaining": D(2),
                          "notional": D(72_000), "risk": D(40), "source": Source.BARS, "group": "index",
                          "is_in_doubt": False, "parent": "NQ", **changes})


def compose(intent: SizedIntent) -> Order:
    """An entry with its stop (and target) as one message, an exit as one leg."""
    wish, account, quantity = intent.account_intent.intent, intent.account_intent.account, intent.sized.quantity

    def leg(role: str, purpose: Purpose, side: Side, kind: OrderType, price: Decimal | None) -> Leg:
        return Leg(client_order_id=client_order_id(wish.signal_id, account, role, 0), role=role, purpose=purpose,
                   side=side, quantity=quantity, type=kind, limit=price if kind is OrderType.LIMIT else None,
                   stop=price if kind is OrderType.STOP else None, is_reduce_only=purpose is not Purpose.ENTER)

    if wish.purpose is Purpose.ENTER:
        legs = [leg("entry", Purpose.ENTER, wish.side, OrderType.LIMIT if wish.limit else OrderType.MARKET, wish.limit),
                leg("stop", Purpose.PROTECT, wish.side.opposite, OrderType.STOP, wish.stop)]
        if wish.target is not None:
            legs.append(leg("target", Purpose.TARGET, wish.side.opposite, OrderType.LIMIT, wish.target))
    elif wish.stop is not None:
        legs = [leg("stop", wish.purpose, wish.side, OrderType.STOP, wish.stop)]
    else:
        legs = [leg("exit", wish.purpose, wish.side, OrderType.LIMIT if wish.limit else OrderType.MARKET, wish.limit)]
    return Order(account=account, instrument=intent.sized.instrument, venue_symbol=intent.sized.instrument + "Z3",
                 legs=tuple(legs), signal_id=wish.signal_id, lane=wish.lane, strategy=wish.strategy,
                 replaces=wish.replaces)


def verdict_of(view: GateView, intent: AccountIntent | None = None, rules: GateRules = RULES) -> Any:
    """The verdict; untyped, because a test knows whether it cleared."""
    intent = intent or asked(view)
    checks = checks_for(PROFILES[intent.intent.purpose], intent.intent.source, rules)
    return judge(intent, view, checks, compose, rules, "c" * 64)


def refusals(verdict: Verdict) -> dict[str, str]:
    """Code by check, of those that refused."""
    return {answer.check: answer.verdict.code for answer in verdict.answers if hasattr(answer.verdict, "code")}


def allows(verdict: Verdict, check: str) -> bool:
    return any(answer.check == check and isinstance(answer.verdict, Allow) for answer in verdict.answers)


def told(check: Any, view: GateView | None = None, intent: AccountIntent | None = None, *, quantity: str = "5",
         risk: str = "108.70", symbol: str = "", **wish: Any) -> Any:
    """One check's answer, for a size that is given and not computed."""
    view = view or a_view()
    sized = Sized(instrument=symbol or view.instrument.symbol, quantity=D(quantity), risk=D(risk), risk_per_unit=D("21.74"),
                  why="by hand")
    return check.check(SizedIntent(intent or asked(view, **wish), sized), view)


def code(answer: Any) -> str:
    """"" where it allows."""
    return getattr(answer, "code", "")


def numbers(answer: Any) -> dict[str, Any]:
    """What was compared, of an answer that allows."""
    assert code(answer) == ""
    return {name: D(value) for name, value in answer.numbers.items()}
