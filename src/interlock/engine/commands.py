"""A person's acts, answered: what they set, or why they are refused."""

from collections.abc import Iterator
from typing import Any

from interlock.engine.latches import Latches
from interlock.engine.setup import Setup
from interlock.execution.stage import Execution
from interlock.ledger.book import Ledger
from interlock.model.command import (
    RELEASE_PHRASE,
    AccountDisabled,
    AccountEnabled,
    CommandGiven,
    CommandRefused,
    DisableAccount,
    EnableAccount,
    Kill,
    Killed,
    Release,
    Released,
)
from interlock.model.entry import Payload
from interlock.model.money import plain
from interlock.model.signal import Purpose


def answer(given: CommandGiven, setup: Setup, latches: Latches, ledger: Ledger, execution: Execution) -> Iterator[Payload]:
    """The outcome of one command, as it will stand in the journal."""
    command = given.command
    match command:
        case Kill():
            yield _kill(command, setup, latches, ledger, execution)
        case Release():
            yield _release(command, latches)
        case DisableAccount() | EnableAccount():
            if command.account not in setup.accounts:
                yield CommandRefused("command.unknown_account", f"no account is called {command.account!r}; "
                                     f"there are {', '.join(setup.accounts)}")
            elif isinstance(command, DisableAccount):
                yield AccountDisabled(command.account, command.why)
            else:
                yield AccountEnabled(command.account)


def _kill(command: Kill, setup: Setup, latches: Latches, ledger: Ledger, execution: Execution) -> Payload:
    if command.scope not in ("risk", "all"):
        return CommandRefused("command.scope", f'a kill\'s scope is "risk" or "all", found {command.scope!r}')
    if command.lane is not None and command.lane not in setup.lanes:
        return CommandRefused("command.unknown_lane", f"no lane is called {command.lane!r}; there are {', '.join(setup.lanes)}")
    if command.account is not None and command.account not in setup.accounts:
        return CommandRefused("command.unknown_account", f"no account is called {command.account!r}; "
                              f"there are {', '.join(setup.accounts)}")
    positions = tuple((position.account, position.instrument, plain(position.quantity)) for position in ledger.positions()
                      if command.account in (None, position.account) and command.lane in (None, position.lane))
    return Killed(command.lane, command.account, command.scope, command.why, latches.kill_epoch + 1,
                  _to_cancel(command, execution), positions)


def _to_cancel(command: Kill, execution: Execution) -> tuple[str, ...]:
    """The orders that this kill will ask to be cancelled, as `execution.kill` chooses them."""
    return tuple(order.leg.client_order_id for order in execution.orders.open_orders()
                 if command.lane in (None, order.lane) and command.account in (None, order.account)
                 and (command.scope == "all" or order.leg.purpose is Purpose.ENTER))


def _release(command: Release, latches: Latches) -> Payload:
    if command.phrase != RELEASE_PHRASE:
        return CommandRefused("command.phrase", f'the phrase is "{RELEASE_PHRASE}", typed in full')
    if not latches.is_killed(command.lane, command.account):
        standing = ", ".join(latches.kills) or "nothing"
        return CommandRefused("command.not_killed", f"nothing of that reach is killed; killed: {standing}")
    return Released(command.lane, command.account, latches.kill_epoch + 1)


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
            case AccountDisabled():
                return {"account": output.account, "enabled": False, "why": output.why}
            case AccountEnabled():
                return {"account": output.account, "enabled": True}
            case CommandRefused():
                return {"refused": output.code, "reason": output.reason}
            case _:
                continue
    return {"refused": "command.no_answer", "reason": "the command had no outcome"}


def reach(lane: str | None, account: str | None) -> str:
    """How far a kill reaches, in words."""
    words = [f"lane {lane}"] if lane else []
    if account:
        words.append(f"account {account}")
    return " ".join(words) or "everything"
