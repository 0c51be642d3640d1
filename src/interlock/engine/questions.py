"""Everything that waits for a person: what is asked, what they are shown, and what they may answer.

A question is a projection of the core's state and is kept nowhere. Its digest names what was shown; an answer carries it, and
is void when the state has moved since. Nothing that moves by itself (an age, a mark) is part of it.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from interlock.model.ids import AccountName, LaneName, StrategyName
from interlock.model.money import plain

if TYPE_CHECKING:
    from interlock.engine.step import Engine

Row: TypeAlias = tuple[str, str, str]
"""What, ours, theirs; where there are no two sides the third is empty."""

ADOPT_BROKER: Final = "adopt-broker"
ADOPT_LOCAL: Final = "adopt-local"
ABORT: Final = "abort"
DRIFT_ANSWERS: Final = (ADOPT_BROKER, ADOPT_LOCAL, ABORT)
BY_PERSON: Final = ("offline", "overfill", "position_crossed")
"""Freezes of an account that nothing but a person lifts, each by `<code>.<account>`."""


class Question(Struct, frozen=True, kw_only=True):
    """One thing that waits for a person."""

    id: str
    kind: str                          # drift, line, kill, offline, overfill, position_crossed, strategy, tier4, loss
    scope: str                         # whom it concerns: "account paper-a", "lane main", "everything"
    account: AccountName | None
    text: str
    state: tuple[Row, ...]
    digest: str
    answers: tuple[str, ...]           # empty: something has to happen first, as the text says


class Halt(Struct, frozen=True, kw_only=True):
    """A latch of another room that only a person lifts, by `enable`."""

    id: str                            # tier4.<scope>, loss.<account>
    scope: str
    account: AccountName | None
    text: str
    state: tuple[Row, ...]
    why_not: str | None = None         # why it cannot be lifted now


class Halting(Protocol):
    """The room that sets such latches, and takes them back when `Enabled` is folded."""

    def halts(self) -> Iterable[Halt]: ...


def digest_of(state: Iterable[Iterable[str]]) -> str:
    """16 hex digits of the SHA-256 over the state's rows as canonical JSON.

    >>> digest_of([("position.MNQ", "0", "1")])
    '322b93619c5ca96d'
    """
    return hashlib.sha256(msgspec.json.encode([list(row) for row in state])).hexdigest()[:16]


def drift_id(account: AccountName) -> str:
    return f"drift.{account}"


def line_id(account: AccountName) -> str:
    return f"line.{account}"


def kill_id(lane: str | None, account: str | None) -> str:
    """As `release` names its reach: kill.all, kill.lane.main, kill.account.paper-a."""
    parts = [f"lane.{lane}"] if lane else []
    if account:
        parts.append(f"account.{account}")
    return ".".join(("kill", *(parts or ["all"])))


def strategy_id(lane: LaneName, strategy: StrategyName) -> str:
    return f"strategy.{lane}.{strategy}"


def questions(engine: "Engine") -> tuple[Question, ...]:
    """All that waits for a person, in a fixed order."""
    return (*_kills(engine), *_drifts(engine), *_lines(engine), *_freezes(engine), *_strategies(engine), *_halts(engine))


def question(engine: "Engine", name: str) -> Question | None:
    return next((each for each in questions(engine) if each.id == name), None)


def positions_state(engine: "Engine", account: AccountName | None = None, instrument: str | None = None) -> tuple[Row, ...]:
    """What is held, ours and as the broker last said, by account and instrument: what a flatten is decided on."""
    rows: list[Row] = []
    for name in engine.setup.accounts:
        if account not in (None, name):
            continue
        ours, theirs = engine.ledger.quantities(name), engine.reconcile.theirs(name)
        known = theirs is not None
        for symbol in sorted({**ours, **(theirs or {})}):
            if instrument in (None, symbol):
                mine, his = ours.get(symbol), (theirs or {}).get(symbol)
                rows.append((f"position.{name}.{symbol}", "0" if mine is None else plain(mine),
                             ("0" if his is None else plain(his)) if known else "not known"))
    return tuple(rows)


def _asked(name: str, kind: str, scope: str, account: AccountName | None, text: str, state: tuple[Row, ...],
           answers: tuple[str, ...]) -> Question:
    return Question(id=name, kind=kind, scope=scope, account=account, text=text, state=state, digest=digest_of(state),
                    answers=answers)


def _kills(engine: "Engine") -> Iterator[Question]:
    for (lane, account), (why, epoch) in engine.latches.latched.items():
        words = " ".join((*((f"lane {lane}",) if lane else ()), *((f"account {account}",) if account else ()))) or "everything"
        held = [(f"position.{each.account}.{each.instrument}", plain(each.quantity), "") for each in engine.ledger.positions()
                if account in (None, each.account) and lane in (None, each.lane)]
        state = (("killed", words, why), ("epoch", str(epoch), ""), *held)
        yield _asked(kill_id(lane, account), "kill", words, None if account is None else AccountName(account),
                     f"{words} is killed: {why}. Released, entries become possible again.", state, ("release",))


def _drifts(engine: "Engine") -> Iterator[Question]:
    for account, of in engine.reconcile.accounts.items():
        if of.asked:
            text = (f"{account} is not what our own acts there explain; its entries are frozen. adopt-broker takes the broker's "
                    "book over, adopt-local accepts exactly these differences for 24 hours, abort switches the account off.")
            yield Question(id=drift_id(account), kind="drift", scope=f"account {account}", account=account, text=text,
                           state=of.state, digest=of.asked, answers=DRIFT_ANSWERS)


def _lines(engine: "Engine") -> Iterator[Question]:
    for account in engine.setup.accounts:
        line = engine.latches.lines[account]
        is_unread = engine.latches.is_frozen_for(account, "unread")
        if line.is_up and not is_unread:
            continue
        if not line.is_up and not line.reason:
            continue                   # nobody has tried to connect it yet
        what = f"queries of {account} fail" if line.is_up else f"the line of {account} is down ({line.reason})"
        state = (("account", account, line.account_id or "not named yet"),
                 ("line", "up, queries fail" if line.is_up else "down", line.reason), ("connection", str(line.connection), ""))
        yield _asked(line_id(account), "line", f"account {account}", account,
                     f"{what}; nothing connects it anew but a person.", state, () if line.is_connecting else ("reconnect",))


def _freezes(engine: "Engine") -> Iterator[Question]:
    for account in engine.setup.accounts:
        for code, why in engine.latches.freezes(account).items():
            if code not in BY_PERSON:
                continue
            line, of = engine.latches.lines[account], engine.reconcile.accounts[account]
            missing = engine.reconcile.why_not_enable(account)
            told = [(each.what, each.ours, each.theirs) for each in of.rows.values()]
            outcome = missing or ("the broker's book agrees with ours" if not told else f"{len(told)} differences")
            state = (("account", account, line.account_id or "not named yet"), (code, why, ""),
                     ("line", "up" if line.is_up else "down", f"connection {line.connection}"), ("reconcile", outcome, ""), *told,
                     *positions_state(engine, account))
            yield _asked(f"{code}.{account}", code, f"account {account}", account,
                         f"entries of {account} are off: {why}. " + (
                             f"They can be enabled once that is settled: {missing}." if missing else
                             "Enabled, entries become possible again."), state, () if missing else ("enable",))


def _strategies(engine: "Engine") -> Iterator[Question]:
    for (lane, strategy), (code, why) in engine.latches.strategies_off.items():
        state = (("strategy", f"{lane} {strategy}", ""), (code, why, ""))
        yield _asked(strategy_id(lane, strategy), "strategy", f"lane {lane}", None,
                     f"strategy {strategy} of lane {lane} is off: {why}", state, ("enable",))


def _halts(engine: "Engine") -> Iterator[Question]:
    health: Halting | None = getattr(engine, "health", None)
    for halt in () if health is None else health.halts():
        yield _asked(halt.id, halt.id.partition(".")[0], halt.scope, halt.account,
                     halt.text if halt.why_not is None else f"{halt.text} It cannot be lifted now: {halt.why_not}.", halt.state,
                     () if halt.why_not else ("enable",))
