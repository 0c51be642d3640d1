"""Flatten is an act of a person: the journaled command itself, not a word in the intent."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import missing
from interlock.model.command import FLATTEN_LIFE
from interlock.model.money import Nanos
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class PersonDecided:
    """The order names a flatten command that the journal holds, that reaches this account and instrument, has had no result
    yet and is at most `life` old."""

    name: ClassVar[str] = "exit.person"
    needs_quantity: ClassVar[bool] = False

    life: Nanos = FLATTEN_LIFE

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        named, decision = intent.account_intent.intent.person, view.decision
        if not named or decision is None:
            return missing("person", "flatten needs a person's decision")
        age = view.now - decision.ts
        numbers = {"command": decision.command, "who": decision.who, "age": str(age)}
        if named != decision.command or decision.instrument not in (None, intent.sized.instrument):
            return Refuse("person_decided_other", f"the order names {named}, the flatten in force is {decision.command} for "
                          f"{decision.instrument or 'every instrument'}", numbers)
        if not 0 <= age <= self.life:
            return Refuse("person_decided_before", f"the flatten was given {age} ns ago, {self.life} allowed", numbers)
        return Allow(numbers)
