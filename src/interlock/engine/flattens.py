"""Which flatten a person has given for which account, taken from the commands themselves: what the gate holds an order to."""

from typing import Final

from msgspec import Struct

from interlock.model.command import CommandGiven, Flatten, FlattenBegun, FlattenEnded, decision_digest
from interlock.model.entry import Payload
from interlock.model.ids import AccountName
from interlock.model.money import Nanos
from interlock.model.view import DecisionView

DECISIONS: Final = frozenset((CommandGiven, FlattenBegun, FlattenEnded))
"""The payloads that say something about a flatten."""
WAITING_MAX: Final = 16
"""Commands that were given and have begun nothing; the oldest are forgotten."""


class Flattens(Struct):
    """Folded from the journal. A command counts once its begin names it, for the accounts that the begin names."""

    given: dict[str, DecisionView] = {}
    in_force: dict[AccountName, DecisionView] = {}
    ended: dict[AccountName, tuple[str, ...]] = {}

    def apply(self, payload: Payload, ts: Nanos) -> None:
        match payload:
            case CommandGiven(command=Flatten() as command):
                name = decision_digest(payload)
                self.given[name] = DecisionView(command=name, who=payload.who, origin=payload.origin, seen=command.seen, ts=ts,
                                                instrument=command.instrument)
                while len(self.given) > WAITING_MAX:
                    del self.given[next(iter(self.given))]
            case FlattenBegun():
                decision = self.given.pop(payload.command, None)
                if decision is not None:
                    for account in payload.accounts:
                        self.in_force[account], self.ended[account] = decision, ()
            case FlattenEnded():
                if payload.instrument:
                    self.ended[payload.account] = (*self.ended.get(payload.account, ()), payload.instrument)
                else:
                    self.in_force.pop(payload.account, None)
            case _:
                pass

    def of(self, account: AccountName, instrument: str) -> DecisionView | None:
        """The flatten that is in force there; None: nobody has asked, or it has its result."""
        decision = self.in_force.get(account)
        if decision is None or decision.instrument not in (None, instrument) or instrument in self.ended.get(account, ()):
            return None
        return decision
