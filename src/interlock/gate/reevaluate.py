"""A recorded verdict asked again: same view, the checks and numbers of today, compared bit for bit."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from interlock.errors import InvariantBroken
from interlock.gate.check import Check
from interlock.gate.judge import SIZE, Compose, judge
from interlock.gate.registry import GateRules
from interlock.model.order import Order
from interlock.model.verdict import CheckAnswer, Cleared, SizedIntent, Verdict

_encoder = msgspec.msgpack.Encoder()


class Changed(Struct, frozen=True):
    """One answer that differs; "" stands for no such answer.

    `check` is a check's name, "size", "result" or "checks" (the list itself).
    """

    check: str
    recorded: str
    now: str


def reevaluate(verdict: Verdict, checks: Sequence[Check], rules: GateRules,
               compose: Compose | None = None) -> list[Changed]:
    """Everything that would be answered otherwise; empty where the verdict repeats itself to the bit.

    Without `compose` the recorded order stands in for its composition, which reads state that no view holds; it is held
    against size and prices all the same.
    """
    again = judge(verdict.asked, verdict.view, checks, compose or _recorded(verdict), rules, verdict.config)
    changed = []
    if verdict.checks != again.checks:
        changed.append(Changed("checks", verdict.checks, again.checks))
    if _encoder.encode(verdict.result.sized) != _encoder.encode(again.result.sized):
        changed.append(Changed(SIZE, _text(verdict.result.sized), _text(again.result.sized)))
    recorded = {answer.check: answer.verdict for answer in verdict.answers}
    now = {answer.check: answer.verdict for answer in again.answers}
    names = (*recorded, *(check for check in now if check not in recorded))
    changed.extend(Changed(check, _text(recorded.get(check)), _text(now.get(check))) for check in names
                   if _encoded(recorded.get(check)) != _encoded(now.get(check)))
    if _encoder.encode(verdict.result) != _encoder.encode(again.result):
        changed.append(Changed("result", _text(verdict.result), _text(again.result)))
    return changed


def _recorded(verdict: Verdict) -> Compose:
    def compose(_: SizedIntent) -> Order:
        if isinstance(verdict.result, Cleared):
            return verdict.result.order
        raise InvariantBroken("the recorded verdict refused, so it holds no order")
    return compose


def _encoded(answer: CheckAnswer | None) -> bytes:
    return b"" if answer is None else _encoder.encode(answer)


def _text(value: object) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()
