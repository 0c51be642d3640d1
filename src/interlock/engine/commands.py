"""A person's acts, answered: what they set, or why they are refused.

Whatever lifts a halt, decides or moves positions carries the digest of the state that the person was shown. Without one it is
refused, and so it is when that state has moved. The second of two equal acts finds nothing left to do and is refused too.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from interlock.engine.questions import (
    ADOPT_BROKER,
    Question,
    digest_of,
    drift_id,
    kill_id,
    line_id,
    positions_state,
    question,
)
from interlock.engine.setup import Setup
from interlock.model.command import (
    RELEASE_PHRASE,
    AccountConfirmed,
    AccountDisabled,
    AccountEnabled,
    CommandGiven,
    CommandRefused,
    ConfirmAccount,
    ConfirmationRefused,
    Decide,
    Decided,
    DeclineLive,
    DisableAccount,
    DrillRecorded,
    Enable,
    EnableAccount,
    Enabled,
    Flatten,
    FlattenBegun,
    Kill,
    Killed,
    LiveDeclined,
    Reconcile,
    Reconnect,
    Reconnecting,
    RecordDrill,
    Release,
    Released,
    decision_digest,
)
from interlock.model.entry import Payload
from interlock.model.ids import AccountName
from interlock.model.money import Nanos, plain
from interlock.model.record import AccountThawed, ReadRequested, StrategyEnabled

if TYPE_CHECKING:
    from interlock.engine.step import Engine

NEED_ENGINE: Final = (Flatten, Reconcile, Decide, Reconnect, Enable, RecordDrill)
"""Acts that mean nothing without a desk that runs: they ask a broker, or stand on what it has just told."""
LOOK: Final = "look again with `interlock decisions`"


def answer(given: CommandGiven, engine: "Engine", ts: Nanos, setup: Setup | None = None) -> Iterator[Payload]:
    """The outcome of one command, as it will stand in the journal. `setup` is that of the configuration in force, where the
    engine was made from an older one."""
    command, setup = given.command, setup or engine.setup
    account, lane = getattr(command, "account", None), getattr(command, "lane", None)
    if account is not None and account not in setup.accounts:
        yield CommandRefused("command.unknown_account", f"no account is called {account!r}; "
                             f"there are {', '.join(setup.accounts)}")
        return
    if lane is not None and lane not in setup.lanes:
        yield CommandRefused("command.unknown_lane", f"no lane is called {lane!r}; there are {', '.join(setup.lanes)}")
        return
    match command:
        case Kill():
            yield _kill(command, engine)
        case Release():
            yield _release(command, engine)
        case ConfirmAccount() | DeclineLive():
            yield CommandRefused("confirm.no_engine", "no desk runs here that a live account could be confirmed to")
        case Flatten():
            yield _flatten(command, given, engine)
        case Reconcile():
            yield from _reconcile(command, engine)
        case Decide():
            yield from _decide(command, given, engine, ts)
        case Reconnect():
            yield _reconnect(command, engine)
        case Enable():
            yield from _enable(command, given, engine)
        case RecordDrill():
            yield DrillRecorded(command.orders, command.cancelled, command.confirmed_ms)
        case DisableAccount():
            yield AccountDisabled(command.account, command.why)
        case EnableAccount():
            yield AccountEnabled(command.account)


def _kill(command: Kill, engine: "Engine") -> Payload:
    if command.scope not in ("risk", "all"):
        return CommandRefused("command.scope", f'a kill\'s scope is "risk" or "all", found {command.scope!r}')
    positions = tuple((position.account, position.instrument, plain(position.quantity)) for position in engine.ledger.positions()
                      if command.account in (None, position.account) and command.lane in (None, position.lane))
    return Killed(command.lane, command.account, command.scope, command.why, engine.latches.kill_epoch + 1,
                  engine.execution.in_reach(command.lane, command.account, command.scope), positions)


def _release(command: Release, engine: "Engine") -> Payload:
    if command.phrase != RELEASE_PHRASE:
        return CommandRefused("command.phrase", f'the phrase is "{RELEASE_PHRASE}", typed in full')
    latches = engine.latches
    asked = question(engine, kill_id(command.lane, command.account))
    if asked is None:
        standing = ", ".join(latches.kills) or "nothing"
        return CommandRefused("command.not_killed", f"nothing of that reach is killed; killed: {standing}")
    return _unseen(command.seen, asked.digest, asked.id) or Released(command.lane, command.account, latches.kill_epoch + 1)


def _flatten(command: Flatten, given: CommandGiven, engine: "Engine") -> Payload:
    setup, execution = engine.setup, engine.execution
    if command.instrument is not None and command.instrument not in setup.instruments:
        return CommandRefused("command.unknown_instrument", f"no instrument is called {command.instrument!r}")
    named = [account for account in setup.accounts if command.account in (None, account)]
    reached = tuple(account for account in named if execution.may_flatten(account, command.instrument))
    if not reached:
        return CommandRefused("command.flatten_under_way", f"{', '.join(named)}: a flatten is under way; wait for its result")
    now = digest_of(positions_state(engine, command.account, command.instrument))
    refused = _unseen(command.seen, now, f"flatten.{command.account or 'all'}")
    if refused is not None:
        return refused
    positions = tuple((position.account, position.instrument, plain(position.quantity)) for position in engine.ledger.positions()
                      if position.account in reached and command.instrument in (None, position.instrument))
    return FlattenBegun(command.why, command.account, command.instrument, reached, positions, decision_digest(given))


def _reconcile(command: Reconcile, engine: "Engine") -> Iterator[Payload]:
    named = [account for account in engine.setup.accounts if command.account in (None, account)]
    up = [account for account in named if engine.latches.is_up(account)]
    if not up:
        yield CommandRefused("command.not_ready", f"{', '.join(named)}: the line is down; a person connects it anew")
    for account in up:
        yield ReadRequested(account, "a person asked for it")


def _decide(command: Decide, given: CommandGiven, engine: "Engine", ts: Nanos) -> Iterator[Payload]:
    asked = question(engine, command.question)
    if asked is None:
        yield CommandRefused("command.no_question", f"no question {command.question!r} is open; {LOOK}")
    elif asked.account is None or asked.id != drift_id(asked.account) or command.answer not in asked.answers:
        found = ", ".join(asked.answers) or "nothing yet"
        hint = f"; that is a command of its own: interlock {found}" if asked.answers and asked.kind != "drift" else ""
        yield CommandRefused("command.answer", f"{asked.id} takes {found}, found {command.answer!r}{hint}")
    elif (refused := _unseen(command.seen, asked.digest, asked.id)) is not None:
        yield refused
    else:
        missing = engine.reconcile.why_not_adopt(asked.account) if command.answer == ADOPT_BROKER else None
        if missing is not None:
            yield CommandRefused("command.not_ready", f"{missing}; it is asked again, and then {LOOK}")
            if engine.latches.is_up(asked.account):
                yield ReadRequested(asked.account, "a person wants to adopt it")
            return
        yield from engine.reconcile.decide(asked.account, command.answer, ts, given.who, engine.mid)


def _reconnect(command: Reconnect, engine: "Engine") -> Payload:
    line = engine.latches.lines[command.account]
    asked = question(engine, line_id(command.account))
    if asked is None:
        return CommandRefused("command.line_up", f"the line of {command.account} is "
                              f"{'up' if line.is_up else 'being made for the first time'}; there is nothing to connect anew")
    if line.is_connecting:
        return CommandRefused("command.connecting", f"{command.account} is being connected anew; wait for the result")
    return _unseen(command.seen, asked.digest, asked.id) or Reconnecting(command.account)


def _enable(command: Enable, given: CommandGiven, engine: "Engine") -> Iterator[Payload]:
    asked = question(engine, command.latch)
    if asked is None or asked.kind in ("kill", "drift", "line"):
        other = "" if asked is None else f"; {asked.id} takes {', '.join(asked.answers)}"
        yield CommandRefused("command.not_latched", f"nothing called {command.latch!r} waits to be enabled{other}")
    elif not asked.answers:
        yield CommandRefused("command.not_ready", asked.text)
    elif (refused := _unseen(command.seen, asked.digest, asked.id)) is not None:
        yield refused
    else:
        yield Enabled(asked.id)
        yield from _lifted(asked, given.who, engine)


def _lifted(asked: Question, who: str, engine: "Engine") -> Iterator[Payload]:
    """What follows from an `Enabled` besides what the room that set the latch makes of it."""
    if asked.kind == "strategy":
        for lane, strategy in engine.latches.strategies_off:
            if asked.id == f"strategy.{lane}.{strategy}":
                yield StrategyEnabled(lane, strategy)
    elif asked.account is not None and engine.latches.is_frozen_for(asked.account, asked.kind):
        yield AccountThawed(asked.account, asked.kind, f"{who} enabled it")


def _unseen(seen: str, now: str, what: str) -> CommandRefused | None:
    """None if the person acts on what stands now."""
    if not seen:
        return CommandRefused("command.unseen", f"{what}: the digest of the state that was shown is missing; {LOOK}")
    if seen != now:
        return CommandRefused("command.state_moved",
                              f"{what}: the state has moved since it was shown ({seen}, now {now}); {LOOK}")
    return None


def outcome(outputs: list[Payload]) -> dict[str, Any]:
    """What the person is told: the fields of the outcome, or its refusal as {"refused": code, "reason"}."""
    for output in outputs:
        match output:
            case Killed():
                return {"killed": True, "reach": reach(output.lane, output.account), "why": output.why, "scope": output.scope,
                        "epoch": output.epoch, "orders_to_cancel": list(output.orders_to_cancel),
                        "positions": [{"account": account, "instrument": instrument, "quantity": quantity}
                                      for account, instrument, quantity in output.positions]}
            case Released():
                return {"killed": False, "reach": reach(output.lane, output.account), "epoch": output.epoch}
            case FlattenBegun():
                return {"flattening": True, "command": output.command, "accounts": list(output.accounts), "why": output.why,
                        "positions": [{"account": account, "instrument": instrument, "quantity": quantity}
                                      for account, instrument, quantity in output.positions]}
            case Decided():
                return {"question": output.question, "answer": output.answer, "account": output.account,
                        "until": output.until or None}
            case Reconnecting():
                return {"account": output.account, "reconnecting": True}
            case Enabled():
                return {"latch": output.latch, "enabled": True}
            case DrillRecorded():
                return {"orders": output.orders, "cancelled": output.cancelled, "confirmed_ms": output.confirmed_ms}
            case AccountDisabled():
                return {"account": output.account, "enabled": False, "why": output.why}
            case AccountEnabled():
                return {"account": output.account, "enabled": True}
            case AccountConfirmed():
                return {"account": output.account, "confirmed": True, "number": output.number, "currency": output.currency,
                        "cash": plain(output.cash),
                        "net_liquidation": None if output.net_liquidation is None else plain(output.net_liquidation)}
            case LiveDeclined():
                return {"declined": True}
            case ConfirmationRefused():
                return {"refused": output.code, "reason": output.reason, "account": output.account}
            case CommandRefused():
                return {"refused": output.code, "reason": output.reason}
            case _:
                continue
    reads: list[AccountName] = [output.account for output in outputs if isinstance(output, ReadRequested)]
    if reads:
        return {"reading": reads}
    return {"refused": "command.no_answer", "reason": "the command had no outcome"}


def reach(lane: str | None, account: str | None) -> str:
    """How far a kill reaches, in words."""
    words = [f"lane {lane}"] if lane else []
    if account:
        words.append(f"account {account}")
    return " ".join(words) or "everything"
