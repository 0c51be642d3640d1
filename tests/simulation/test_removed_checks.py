"""Each check of the gate stands in the way of something: a desk as `run` builds it, in a state in which that check alone keeps
an order from leaving. With the check the venue is sent nothing; with one in its place that allows everything, it is.

What is asserted is read from the bytes that go to the venue, by a reader that the product does not have; the row of a check
names no code, no answer and nothing of the check but its name. SafeBroker looks away throughout, for it stands in the same
way. `asks` changes what reaches the gate, as another strategy would ask it; `shows` what a venue could tell and this one cannot.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.scenarios import conftest
from tests.scenarios.desk import Desk, configured
from tests.simulation.planted import Changed

from interlock.brokers.paper.wire import AnswerLost
from interlock.brokers.safe import SafeBroker
from interlock.gate import judge as judging
from interlock.gate import sizing
from interlock.gate.registry import GateRules, Registry
from interlock.model.account import Truth
from interlock.model.command import Flatten, Kill
from interlock.model.ids import AccountName, LaneName, SignalId, StrategyName
from interlock.model.market import MarketState, Provenance
from interlock.model.money import SECOND
from interlock.model.order import Profile
from interlock.model.record import AccountFrozen, StrategyDisabled
from interlock.model.report import WriteRefused
from interlock.model.signal import AccountIntent, Intent, Purpose, Source
from interlock.model.verdict import Refuse, Verdict
from interlock.simulation.oracles import frames

ALONE = {'accounts = ["paper-a", "paper-b"]': 'accounts = ["paper-a"]'}
EMULATED = {"has_native_brackets = true ": "has_native_brackets = false "}


def also(name: str, symbol: str) -> str:
    """Another strategy that alerts, of this symbol."""
    return f"""
[[lanes.main.alerts]]
strategy = "{name}"
script_id = "{name}-1"
source_symbol = "{symbol}1!"
symbol = "{symbol}"
instrument = "{symbol}"
exit_profile = "bracket"
"""


MNQ_TOO = also("second", "MNQ")
A = AccountName("paper-a")
replaced = msgspec.structs.replace


class Sent:
    """What has gone to the venue, read from its bytes."""

    def __init__(self, desk: Desk) -> None:
        self.orders: list[frames.OrderMessage] = []
        wire = desk.paper.wire
        request = wire.request

        async def overheard(kind: str, body: bytes) -> bytes:
            if kind in ("place", "modify"):
                self.orders.append(frames.order(body))
            return await request(kind, body)

        wire.request = overheard  # type: ignore[method-assign]

    def count(self, purpose: Purpose) -> int:
        return sum(order.legs[0].purpose == purpose.value for order in self.orders)


desk_of = conftest.desk_of
Act = Callable[[Desk], None]
_NUMBER = [0]


def alert(desk: Desk, action: str = "buy", **changes: Any) -> None:
    """An alert that the hook takes for a new one: of a bar of its own."""
    _NUMBER[0] += 1
    at = datetime.fromtimestamp(desk.clock.now() / 1e9 - _NUMBER[0] % 500 / 1e6, tz=UTC)
    bar = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    reply = desk.post(desk.alert(action, **({"bar_time": bar} | changes)))
    assert reply.body["status"] == "accepted", reply.body


def alerts(action: str = "buy", **changes: Any) -> Act:
    return lambda desk: alert(desk, action, **changes)


def nothing(_: Desk) -> None:
    """The state needs no bringing about."""


def holds(desk: Desk, action: str = "buy", **changes: Any) -> None:
    """A position, as an alert and its fill make it."""
    alert(desk, action, **changes)
    desk.go(3)
    assert desk.positions(), "the world of this row is not the one that it means"


def flat_again(desk: Desk) -> None:
    alert(desk, "close")
    desk.go(3)
    assert not desk.positions()


@dataclass(frozen=True)
class Row:
    """The state in which a check alone stands in the way, and what is done in it."""

    arrange: Act = nothing
    act: Act = field(default_factory=alerts)
    gate: str = ""                             # lines of the configuration's gate, and tables behind it
    replace: dict[str, str] = field(default_factory=dict)
    asks: Callable[[Any], Any] | None = None   # an intent of this purpose, changed
    shows: Callable[[Any], Any] | None = None  # the view of such an intent, changed
    purpose: Purpose = Purpose.ENTER
    beside: tuple[tuple[Any, str, Any], ...] = ()      # what of the product stands in the same way, looking away


# -- how the states come about

def killed(desk: Desk) -> None:
    desk.command(Kill(why="news"))


def not_verified(desk: Desk) -> None:
    """The older part of the record has not been read through yet."""
    desk.built.desk.turn(AccountFrozen(A, "unverified", "the record before the snapshot is being read"))
    desk.settle()


def strategy_off(desk: Desk) -> None:
    desk.built.desk.turn(StrategyDisabled(LaneName("main"), StrategyName("demo"), "three rejects of one order"))
    desk.settle()


class Told:
    """A health room that says what it is told to."""

    def __init__(self, tier: int) -> None:
        self._tier = tier

    def tier(self, _lane: Any, _account: Any) -> tuple[int, tuple[str, ...]]:
        return self._tier, ("acknowledgements late",)

    def clock_offset(self) -> int:
        return 0


def sick(desk: Desk) -> None:
    desk.built.engine.views.health = Told(3)


def no_pongs(desk: Desk) -> None:
    """The venue answers no ping for a while, and everything else."""
    wire, exchange = desk.paper.wire, desk.paper.wire.exchange

    def lost(kind: str, body: bytes) -> bytes:
        if kind == "ping":
            raise AnswerLost("no answer")
        return exchange(kind, body)

    wire.exchange = lost  # type: ignore[method-assign]
    desk.go(7)


def no_regime(desk: Desk) -> None:
    desk.built.engine.regimes.clear()


def halted(desk: Desk) -> None:
    now = desk.clock.now()
    desk.script.waiting.append((now, MarketState("MES", True, True, now, now)))
    desk.settle()


def thin(desk: Desk) -> None:
    desk.quote("MES", size=0)
    desk.settle()


def after_a_loss(desk: Desk) -> None:
    """A round trip that its stop has ended; health, which knows of it too, does not look."""
    holds(desk)
    desk.move("MES", "4530")
    desk.go(3)
    assert not desk.positions()
    desk.built.engine.views.health = Told(0)


def rolled(desk: Desk) -> None:
    venue = desk.paper.venue
    venue.definitions["MES"] = replaced(venue.definitions["MES"], roll=1)
    desk.go(31)


def offered(desk: Desk) -> None:
    """A target of ours rests where the next entry would reach, and nobody takes it yet."""
    holds(desk, target="4551")
    desk.go(0.5, quotes=False)
    desk.quote("MES", "4550.75", spread_ticks=2)
    desk.settle()


def used(desk: Desk) -> None:
    """The signal has been entered and left."""
    holds(desk)
    flat_again(desk)


def forgotten(desk: Desk) -> None:
    """As before, and the last room has no memory of what it wrote."""
    engine = desk.built.engine
    route = engine._reactions[Intent]
    engine._reactions[Intent] = lambda intent, ts: route(
        intent if intent.purpose is not Purpose.ENTER else replaced(intent, signal_id=SignalId("always the same")), ts)
    used(desk)
    desk.safe()._ids.clear()


def tripled(asked: Any, view: Any, rules: Any) -> Any:
    """A sizing that has gone wrong."""
    sized = sizing.size(asked, view, rules)
    return replaced(sized, quantity=sized.quantity * 5) if sized.quantity else sized


def as_if_verified(view: Any) -> Any:
    """A broker that proves the account to be a live one, to a desk of paper."""
    return replaced(view, account=replaced(view.account, truth=Truth.BROKER_VERIFIED),
                    mark=replaced(view.mark, provenance=Provenance.LIVE))


def as_if_live(view: Any) -> Any:
    """A verified account of a live desk that is shown a recording's price."""
    return replaced(view, mode="live", events=(), limits=replaced(view.limits, symbols=("MES",)),
                    account=replaced(view.account, truth=Truth.BROKER_VERIFIED),
                    mark=replaced(view.mark, provenance=Provenance.PLAYBACK))


def tied_up(view: Any) -> Any:
    """A broker that tells margin, most of which is used."""
    return replaced(view, account=replaced(view.account, margin_used=Decimal(24_900)),
                    definition=replaced(view.definition, margin=Decimal(1_500)))


def upward(view: Any) -> Any:
    """Prices that go the way of every set-up."""
    return replaced(view, features=tuple(
        replaced(each, value=0.5) if each.name.startswith("trajectory") else each for each in view.features))


def unprepared(desk: Desk) -> None:
    """A position whose stop rests, and exits that nobody has made room for."""
    holds(desk)
    desk.go(3)
    engine = desk.built.engine
    engine._reactions[AccountIntent] = lambda asked, ts: engine._judge(asked, ts)


def enters(desk: Desk) -> None:
    """An entry, whose stop and target are sent when it has filled."""
    alert(desk)
    desk.go(6)


def flatten(desk: Desk) -> None:
    from interlock.engine.questions import digest_of, positions_state
    desk.command(Flatten(why="going home", account=A, instrument=None,
                         seen=digest_of(positions_state(desk.built.engine, A, None))))
    desk.go(6)


def closes(desk: Desk) -> None:
    alert(desk, "close")
    desk.go(3)


ENTER: dict[str, Row] = {
    "kill": Row(killed),
    "truth": Row(shows=as_if_verified),
    "account": Row(not_verified),
    "order.strategy": Row(strategy_off),
    "order.tier": Row(sick, beside=((sizing, "TIERS", (Decimal(1),) * 5),)),
    "phase.1_connection": Row(no_pongs),
    "phase.2_balance": Row(gate='balance_min = "60000"\n'),
    "phase.3_daily_loss": Row(gate='daily_loss = "30"\n'),
    "phase.4_regime": Row(no_regime),
    "phase.5_size": Row(beside=((judging, "size", tripled),)),
    "guard.1_time_window": Row(gate='[[releases]]\nname = "CPI"\nat = "2023-11-21T10:12:00-05:00"\n'),
    "guard.2_data_quality": Row(halted),
    "guard.3_risk_limits": Row(gate='all_notional = "20000"\n'),
    "guard.4_position_count": Row(lambda desk: holds(desk, strategy="second", script="second-1", symbol="MNQ"),
                                  gate="positions_max = 1\n" + MNQ_TOO),
    "guard.5_directional_concentration": Row(lambda desk: holds(desk, strategy="second", script="second-1", symbol="MNQ"),
                                             gate="group_positions_max = 1\n" + MNQ_TOO),
    "guard.6_entry_slippage": Row(act=alerts(price="4544", stop="4540", target="4560")),
    "guard.7_trajectory_alignment": Row(act=alerts("sell"), asks=lambda intent: replaced(intent, source=Source.BARS)),
    "guard.8_day_type": Row(asks=lambda intent: replaced(intent, source=Source.OPTIONS), shows=upward),
    "guard.9_degradation": Row(after_a_loss, alerts("sell"), gate="record_trades_min = 1\nopposite_wait_seconds = 1\n"),
    "guard.10_liquidity": Row(thin),
    "guard.11_reentry_cooldown": Row(used, gate="entries_per_day_max = 1\n"),
    "order.instrument": Row(replace={'[accounts.paper-a]\nbroker = "paper"\n':
                                     '[accounts.paper-a]\nbroker = "paper"\nsafe.symbols = ["MNQ"]\n'}),
    "order.definition": Row(rolled),
    "order.reversal": Row(holds, alerts("sell"), gate="positions_per_underlying_max = 2\nopposite_wait_seconds = 1\n"),
    "order.self_trade": Row(offered, gate="positions_per_underlying_max = 2\n"),
    "order.tick_and_lot": Row(asks=lambda intent: replaced(intent, target=intent.target + Decimal("0.1"))),
    "order.bracket": Row(asks=lambda intent: replaced(intent, target=Decimal("4549"))),
    "order.collar": Row(asks=lambda intent: replaced(intent, limit=Decimal("4480"))),
    "order.price_window": Row(lambda desk: desk.move("MES", "4700")),
    "order.duplicate": Row(forgotten),
    "order.rate": Row(replace={'[accounts.paper-a]\nbroker = "paper"\n':
                               '[accounts.paper-a]\nbroker = "paper"\nsafe.orders_per_minute = 1\n'}),
    "order.value_rate": Row(gate='value_per_minute = "20000"\n'),
    "order.margin": Row(shows=tied_up),
    "order.provenance": Row(shows=as_if_live),
}
"""By name of the check: the state in which nothing but it keeps an entry from leaving."""

EXIT: dict[str, Row] = {
    "exit.person": Row(holds, flatten, purpose=Purpose.FLATTEN,
                       asks=lambda intent: replaced(intent, person="0123456789abcdef")),
    "exit.account": Row(holds, closes, purpose=Purpose.REDUCE,
                        shows=lambda view: replaced(view, account=replaced(view.account, account_id=None))),
    "exit.position": Row(holds, closes, purpose=Purpose.REDUCE, shows=lambda view: replaced(
        view, account=replaced(view.account, ts_proof=view.now - 31 * SECOND))),
    "exit.never_crosses_zero": Row(unprepared, closes, replace=EMULATED, purpose=Purpose.REDUCE),
    "order.tick_and_lot": Row(act=enters, replace=EMULATED | {
        '[accounts.paper-a]\nbroker = "paper"\n': '[accounts.paper-a]\nbroker = "paper"\npair_may_rest = true\n'},
        purpose=Purpose.TARGET, asks=lambda intent: replaced(intent, target=intent.target + Decimal("0.1"))),
    "order.wide_collar": Row(act=enters, replace=EMULATED, purpose=Purpose.PROTECT,
                             asks=lambda intent: replaced(intent, stop=Decimal("3500"))),
}
"""The same for what only reduces."""

REGISTRY = Registry(GateRules())
ENTRIES, EXITS = (
    tuple(dict.fromkeys(check.name for profile in profiles for source in Source for check in REGISTRY.checks(profile, source)))
    for profiles in ((Profile.ENTER,), tuple(profile for profile in Profile if profile is not Profile.ENTER)))


def put(desk: Desk, row: Row) -> None:
    """Have the gate asked, and shown, what the row says."""
    engine = desk.built.engine
    judge, build = engine._judge, engine.views.build

    def asked(each: AccountIntent, ts: int) -> Any:
        if row.asks is not None and each.intent.purpose is row.purpose:
            each = replaced(each, intent=row.asks(each.intent))
        return judge(each, ts)

    def shown(each: AccountIntent, *more: Any) -> Any:
        view = build(each, *more)
        return view if row.shows is None or each.intent.purpose is not row.purpose else row.shows(view)

    engine._judge, engine.views.build = asked, shown  # type: ignore[method-assign, assignment]
    engine.withdrawn = lambda order: None  # type: ignore[method-assign]    # looks once more between signing and writing


def in_the_state(desk_of: Any, monkeypatch: pytest.MonkeyPatch, row: Row, name: str) -> tuple[Desk, Sent]:
    """A desk in the state of a row."""
    desk = desk_of(configured(replace=ALONE | row.replace, more=row.gate), name)
    sent = Sent(desk)
    row.arrange(desk)
    put(desk, row)
    for target, what, value in row.beside:
        monkeypatch.setattr(target, what, value)
    return desk, sent


def without(desk: Desk, name: str) -> None:
    """From here on the check allows everything."""
    setup = desk.built.engine.setup
    desk.built.engine.setup = dataclasses.replace(setup, registry=Changed(setup.registry, (name,), is_open=True))


@pytest.fixture(autouse=True)
def _the_gate_stands_alone(monkeypatch):
    for method in ("_check_increases", "_check_reduces"):
        monkeypatch.setattr(SafeBroker, method, lambda *_: None)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_leaves_that_only_this_check_held_back(desk_of, monkeypatch, name):
    row = ENTER[name]
    desk, sent = in_the_state(desk_of, monkeypatch, row, "state")
    before = sent.count(Purpose.ENTER)

    row.act(desk)
    assert sent.count(Purpose.ENTER) == before, "with every check in its place nothing leaves"

    without(desk, name)
    row.act(desk)
    assert sent.count(Purpose.ENTER) > before, f"{name} was not all that stood in the way: {said(desk, row)}"


@pytest.mark.parametrize("name", EXITS)
def test_an_exit_leaves_that_only_this_check_held_back(desk_of, monkeypatch, name):
    row, counts = EXIT[name], []
    for state in ("whole", "without"):
        desk, sent = in_the_state(desk_of, monkeypatch, row, state)
        if state == "without":
            without(desk, name)
        before = sent.count(row.purpose)
        row.act(desk)
        counts.append(sent.count(row.purpose) - before)

    assert counts[0] == 0, "with every check in its place nothing leaves"
    assert counts[1] > 0, f"{name} was not all that stood in the way: {said(desk, row)}"


def said(desk: Desk, row: Row) -> list[str]:
    """For whoever reads a failure: what else has refused."""
    verdicts = [verdict for verdict in desk.entries(Verdict) if verdict.asked.intent.purpose is row.purpose]
    refusals = [str(each.code) for each in desk.entries(WriteRefused)]
    return refusals + [f"{answer.check}: {answer.verdict.reason}" for answer in verdicts[-1].answers
                       if isinstance(answer.verdict, Refuse)] if verdicts else ["nothing was asked"]


def test_every_check_has_its_row():
    assert (set(ENTER), set(EXIT)) == (set(ENTRIES), set(EXITS))
