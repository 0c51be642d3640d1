"""Flatten is an act of a person."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import missing
from interlock.model.verdict import Allow, CheckAnswer, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class PersonDecided:
    name: ClassVar[str] = "exit.person"
    needs_quantity: ClassVar[bool] = False

    def check(self, intent: SizedIntent, _: GateView) -> CheckAnswer:
        person = intent.account_intent.intent.person
        if person:
            return Allow({"person": person})
        return missing("person", "flatten needs a person's decision")
