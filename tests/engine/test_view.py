"""What the gate is shown: built from the record alone, the same whether one judgement or fifty share a turn."""

from decimal import Decimal
from typing import Any

import pytest

from interlock.config import build
from interlock.config.load import default_text
from interlock.config.schema import Config
from interlock.engine.step import Engine
from interlock.engine.view import Views, Well
from interlock.gate.clearance import Signer
from interlock.model.ids import AccountName, LaneName, SignalId, StrategyName
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Provenance, Quote
from interlock.model.money import MINUTE, SECOND
from interlock.model.record import Attempt, Started
from interlock.model.report import AccountRead, LineChanged, OrderAccepted, OrderCancelled
from interlock.model.signal import AccountIntent, Intent, Purpose, Side, Source
from interlock.model.view import Definition, GateView

NOW = 1_700_579_400 * SECOND
D = Decimal
A, B = AccountName("paper-a"), AccountName("paper-b")


def an_engine() -> Engine:
    import msgspec

    config = msgspec.toml.decode(default_text(), type=Config)
    setup = build.setup(config, digest="d" * 64, epoch=1, state_id="state", clock="wall", is_simulated=True,
                        fed=(("MNQ", MINUTE), ("MES", MINUTE)))
    engine = Engine(setup, Signer())
    engine.views.health = Well()
    engine.apply(Started("b" * 64, "1", 1, {}, True), NOW)
    for account in (A, B):
        engine.apply(LineChanged(account, True, 1, "up"), NOW)
        engine.apply(a_read(account), NOW)
    engine.apply(a_quote(), NOW)
    return engine


def a_quote(bid: int = 18_200, at: int = NOW) -> Quote:
    return Quote("MES", bid, bid + 1, 200, 200, at, at, Provenance.SIMULATED)


def told(**changes: Any) -> Definition:
    ours = INSTRUMENTS["MES"]
    return Definition(**{"instrument": "MES", "tick": ours.tick, "lot": ours.lot, "multiplier": ours.multiplier,
                         "currency": "USD", **changes})


def a_read(account: AccountName = A, **changes: Any) -> AccountRead:
    return AccountRead(**{"account": account, "account_id": "P", "cash": D(50_000), "currency": "USD", "positions": (),
                          "orders": (), "fills": (), "ts_event": NOW, "connection": 1, "definitions": (told(),), **changes})


def asked(account: AccountName = A, *, signal: str = "s" * 18, **changes: Any) -> AccountIntent:
    return AccountIntent(Intent(**{
        "signal_id": SignalId(signal), "lane": LaneName("main"), "strategy": StrategyName("demo"), "source": Source.ALERTS,
        "instrument": "MES", "side": Side.BUY, "purpose": Purpose.ENTER, "why": "test", "ts_decided": NOW, "stop": D(4542),
        "target": D(4566), "reference": D(4550), **changes}), account)


def seen(engine: Engine, account: AccountName = A, now: int = NOW, **changes: Any) -> GateView:
    return engine.views.build(asked(account, **changes), now, engine.rows, engine.regimes)


def clear(engine: Engine, account: AccountName = A, *, signal: str = "s" * 18, now: int = NOW) -> Attempt:
    """Let the engine judge an entry with a gate that asks nothing but the size, and fold what follows."""
    from functools import partial

    from interlock.gate.judge import judge
    from interlock.model.verdict import Allow

    class Yes:
        name, needs_quantity = "yes", False

        def check(self, *_: Any) -> Allow:
            return Allow()

    intent = asked(account, signal=signal)
    view = engine.views.build(intent, now, engine.rows, engine.regimes)
    verdict = judge(intent, view, (Yes(),), partial(engine._compose, account), engine.setup.registry.rules, "c" * 64)
    assert verdict.is_cleared, verdict.result
    engine.apply(verdict, now)
    attempt = Attempt(verdict.result.order.client_order_id, 1, verdict.result.order, verdict.result.sized.risk)  # type: ignore[union-attr]
    engine.apply(attempt, now)
    return attempt


def test_what_the_broker_told_of_the_instrument_is_shown_per_account() -> None:
    engine = an_engine()
    engine.apply(a_read(B, definitions=(told(tick=D("0.5")),), ts_event=NOW + 1), NOW)

    assert seen(engine, A).definition == told()
    assert seen(engine, B).definition == told(tick=D("0.5"))


def test_a_definition_is_remembered_when_a_later_answer_leaves_it_out() -> None:
    engine = an_engine()
    engine.apply(a_read(definitions=(), ts_event=NOW + 1), NOW)

    assert seen(engine).definition == told()


@pytest.mark.parametrize("late", [{"connection": 0}, {"connection": 2}, {"ts_event": NOW - 1}])
def test_an_answer_that_was_overtaken_changes_nothing(late: dict[str, Any]) -> None:
    engine = an_engine()
    engine.apply(a_read(definitions=(told(tick=D("0.5")),), margin_used=D(1), **late), NOW + SECOND)

    view = seen(engine)
    assert (view.account.ts_read, view.account.margin_used, view.definition) == (NOW, None, told())


def test_a_cleared_entry_counts_at_once_for_its_own_account_and_for_all() -> None:
    engine = an_engine()
    before = seen(engine)
    clear(engine)
    own, other = seen(engine, A), seen(engine, B)

    # one MES: 4550.25 x 5 at the ask for the minute, 4550.125 x 5 at the mid for what is open
    assert (before.all_notional, before.account.value_last_minute, before.pending) == (D(0), D(0), ())
    assert own.account.value_last_minute == own.all_value_last_minute == other.all_value_last_minute == D("22751.25")
    assert other.account.value_last_minute == 0
    assert own.all_notional == other.all_notional == D("22750.625")
    assert [each.remaining for each in own.pending] == [D(1)]
    assert other.pending == ()
    assert (own.account.orders_last_minute, other.account.orders_last_minute, other.all_orders_last_minute) == (1, 0, 1)


def test_what_a_turn_shares_is_what_a_fresh_look_finds() -> None:
    engine = an_engine()
    seen(engine, A)                                    # from here on the parts are shared
    clear(engine, A)
    clear(engine, B, signal="t" * 18)
    shared = seen(engine, A), seen(engine, B)
    again = an_engine()
    again.restore(engine_snapshot(engine))

    assert (seen(again, A), seen(again, B)) == shared


def engine_snapshot(engine: Engine) -> Any:
    from interlock.engine.step import unpack

    kept = unpack(engine.snapshot(b""))
    assert kept is not None
    return kept


def test_the_value_of_a_minute_is_gone_after_a_minute() -> None:
    engine = an_engine()
    clear(engine)

    assert seen(engine, now=NOW + MINUTE - 1).all_value_last_minute == D("22751.25")
    assert seen(engine, now=NOW + MINUTE).all_value_last_minute == 0


def test_what_rests_is_shown_to_every_account_of_the_broker_the_nearest_of_each_side() -> None:
    engine = an_engine()
    first = clear(engine, A)
    assert {(each.side, each.price) for each in seen(engine, B).resting or ()} == {(Side.SELL, D(4566))}

    target = next(leg for leg in first.order.legs if leg.limit is not None)
    for leg in first.order.legs:
        engine.apply(OrderAccepted(A, leg.client_order_id, f"v{leg.role}", NOW, leg is first.order.legs[0]), NOW)  # type: ignore[arg-type]
    assert seen(engine, B).resting == (), "a child that waits for its parent does not rest"
    engine.apply(OrderAccepted(A, target.client_order_id, "vt", NOW, True), NOW)  # type: ignore[arg-type]
    assert [each.client_order_id for each in seen(engine, B).resting or ()] == [target.client_order_id]
    engine.apply(OrderCancelled(A, target.client_order_id, "", NOW), NOW)
    assert seen(engine, B).resting == ()


def test_margin_is_what_was_told_and_what_was_cleared_since() -> None:
    engine = an_engine()
    assert seen(engine).account.margin_used is None, "a broker that tells none"
    engine.apply(a_read(margin_used=D(1_000), definitions=(told(margin=D(1_200)),), ts_event=NOW + 1), NOW)
    clear(engine)

    assert seen(engine).account.margin_used == D(2_200)
    engine.apply(a_read(margin_used=D(2_250), definitions=(told(margin=D(1_200)),), ts_event=NOW + 2), NOW + 2 * SECOND)
    assert seen(engine).account.margin_used == D(3_450), "the answer may not hold what was cleared a moment before it"
    engine.apply(a_read(margin_used=D(2_250), definitions=(told(margin=D(1_200)),), ts_event=NOW + 3), NOW + 10 * SECOND)
    assert seen(engine).account.margin_used == D(2_250)


def test_an_exit_is_shown_what_exits_are_asked_and_no_more() -> None:
    engine = an_engine()
    view = seen(engine, purpose=Purpose.REDUCE, side=Side.SELL, stop=None, target=None)

    assert (view.pending, view.resting, view.all_notional, view.all_day_pnl) == ((), None, None, None)


def test_the_tier_is_the_health_rooms_word_and_the_clock_is_asked_on_the_wall_alone() -> None:
    class Sick:
        def tier(self, *_: Any) -> tuple[int, tuple[str, ...]]:
            return 2, ("late",)

        def clock_offset(self) -> int | None:
            return None

    engine = an_engine()
    engine.views.health = Sick()
    view = seen(engine)

    assert (view.tier, view.tier_reasons, view.clock_offset) == (2, ("late",), None)


def test_a_window_moves_with_the_market() -> None:
    engine = an_engine()
    assert seen(engine).window == (D("4550.125"), D("4550.125"))
    engine.apply(a_quote(18_400, NOW + SECOND), NOW + SECOND)

    assert seen(engine, now=NOW + SECOND).window == (D("4550.125"), D("4600.125"))
    assert isinstance(engine.views, Views)
