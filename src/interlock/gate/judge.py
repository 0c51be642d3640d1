"""One judgement: fix the size, ask every check, keep every answer. Only here is a `Cleared` made.

Permission is stated. One refusal refuses, and so does anything that is not a plain Allow: an exception, a None, a check
with nothing to ask about, an empty list of checks.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, Protocol

from interlock.errors import InputError, InterlockError, Unsupported
from interlock.gate.check import Check
from interlock.gate.guards.table import Inapplicable
from interlock.gate.phases.regime import RegimeConditions
from interlock.gate.registry import Checks, GateRules, registry_digest
from interlock.gate.sizing import size
from interlock.model.order import PROFILES, Order, OrderType
from interlock.model.signal import AccountIntent, Purpose
from interlock.model.verdict import (
    Allow,
    Answer,
    CheckAnswer,
    Cleared,
    NotApplicable,
    NotEvaluated,
    NotRequired,
    Refuse,
    Refused,
    Sized,
    SizedIntent,
    Verdict,
)
from interlock.model.view import GateView

Compose = Callable[[SizedIntent], Order]

SIZE: Final = "size"
COMPOSE: Final = "order.compose"
SLOW: Final = 5_000_000
"""Nanoseconds after which a check is counted as slow."""

_ZERO: Final = NotEvaluated("size is zero")
_FITS: Final = Allow()


class Watch(Protocol):
    """Times checks with a clock of the caller's, since the core has none, and hears of slow ones."""

    def now(self) -> int: ...

    def slow(self, check: str, nanos: int) -> None: ...


def ask(check: Check, intent: SizedIntent, view: GateView) -> CheckAnswer:
    """One check's answer, or the refusal that stands for a check that broke or forgot to answer."""
    if not intent.sized.quantity and check.needs_quantity:
        return _ZERO
    try:
        answer = check.check(intent, view)
    except Exception as error:  # noqa: BLE001
        return Refuse("check_failed", repr(error))
    kind = type(answer)
    if kind is Allow or kind is Refuse:
        return answer
    # Two answers besides Allow let an order pass, and only their own authors may give them.
    if isinstance(answer, NotApplicable) and type(check) is Inapplicable:
        return answer
    if isinstance(answer, NotRequired) and type(check) is RegimeConditions:
        return answer
    return Refuse("no_verdict", f"{check.name} answered {answer!r}")


def judge(asked: AccountIntent, view: GateView, checks: Sequence[Check], compose: Compose, rules: GateRules,
          config_digest: str, watch: Watch | None = None) -> Verdict:
    """The verdict, with the view it was reached on. `compose` is called only when everything is allowed."""
    wish = asked.intent
    sized = _attempt(lambda asked, view: size(asked, view, rules.sizing), asked, view)
    if not isinstance(sized, Sized):
        sized = Sized(instrument=wish.instrument, quantity=Decimal(0), risk=Decimal(0), risk_per_unit=Decimal(0),
                      why=sized.text if isinstance(sized, _Broke) else repr(sized), code="size_failed")
    intent = SizedIntent(asked, sized)
    verdicts = [ask(check, intent, view) for check in checks] if watch is None else _timed(checks, intent, view, watch)
    answers = [Answer(check.name, verdict) for check, verdict in zip(checks, verdicts, strict=True)]
    result: Cleared | Refused | None = None
    for verdict in verdicts:
        if type(verdict) is Refuse:
            result = Refused(sized, verdict.code, verdict.reason)
            break
    if result is None:
        if not answers:
            result = Refused(sized, "no_checks", "there was nothing to ask")
        elif not sized.quantity > 0:
            result = Refused(sized, sized.code or "risk_budget", sized.why)
        else:
            order = _composed(compose, intent, view)
            answers.append(Answer(COMPOSE, order if isinstance(order, Refuse) else _FITS))
            result = Refused(sized, order.code, order.reason) if isinstance(order, Refuse) else Cleared(sized, order)
    return Verdict(
        signal_id=wish.signal_id, account=asked.account, profile=PROFILES[wish.purpose], asked=asked, view=view,
        answers=tuple(answers), result=result, config=config_digest,
        checks=checks.digest if isinstance(checks, Checks) else registry_digest(checks))


class _Broke:
    """What is left of an exception: its text."""

    def __init__(self, error: Exception) -> None:
        self.text = repr(error)
        self.code = ("unsupported" if isinstance(error, Unsupported)
                     else "compose_refused" if isinstance(error, InputError | InterlockError) else "compose_failed")


def _attempt(call: Callable[[Any, GateView], Any], asked: AccountIntent | SizedIntent, view: GateView) -> Any:
    """The call's result, or what broke it: a broken size or composition is a closed gate."""
    try:
        return call(asked, view)
    except Exception as error:  # noqa: BLE001
        return _Broke(error)


def _timed(checks: Sequence[Check], intent: SizedIntent, view: GateView, watch: Watch) -> list[CheckAnswer]:
    """The same answers; the end of one check is the beginning of the next, so that each costs one look at the clock."""
    verdicts = []
    began = watch.now()
    for check in checks:
        verdicts.append(ask(check, intent, view))
        ended = watch.now()
        if ended - began > SLOW:
            watch.slow(check.name, ended - began)
        began = ended
    return verdicts


def _composed(compose: Compose, intent: SizedIntent, view: GateView) -> Order | Refuse:
    order = _attempt(lambda intent, _: compose(intent), intent, view)
    if isinstance(order, _Broke):
        return Refuse(order.code, order.text)
    if not isinstance(order, Order):
        return Refuse("compose_failed", f"expected an order, found {order!r}")
    differs = _attempt(lambda intent, view: _difference(order, intent, view), intent, view)
    if differs is None:
        return order
    return Refuse("compose_mismatch", differs.text if isinstance(differs, _Broke) else str(differs))


def _difference(order: Order, intent: SizedIntent, view: GateView) -> str | None:
    """Where the composed order is not what was asked and sized; None where it is."""
    asked, sized, parent = intent.account_intent, intent.sized, order.legs[0]
    wish = asked.intent
    instrument = view.instrument if sized.instrument == view.instrument.symbol else view.micro
    if instrument is None:
        return f"the view shows no {sized.instrument}"
    for what, expected, found in (
            ("account", asked.account, order.account), ("instrument", sized.instrument, order.instrument),
            ("signal", wish.signal_id, order.signal_id), ("purpose", wish.purpose, parent.purpose),
            ("side", wish.side, parent.side), ("quantity", sized.quantity, parent.quantity)):
        if expected != found:
            return f"{what}: expected {expected}, found {found}"
    if parent.type is OrderType.STOP and parent.stop != wish.stop:
        return f"stop: expected {wish.stop}, found {parent.stop}"
    for leg in order.legs:
        for price in (leg.limit, leg.stop):
            if price is not None and not instrument.is_on_tick(price):
                return f"{leg.role}: {price} is no multiple of the tick {instrument.tick}"
    for leg in order.legs[1:]:
        if leg.purpose not in (Purpose.PROTECT, Purpose.TARGET):
            return f"{leg.role}: a child of purpose {leg.purpose.value}"
        if wish.purpose is Purpose.ENTER and leg.side is not wish.side.opposite:
            return f"{leg.role}: a child on the entry's own side"
        if not leg.quantity <= sized.quantity:
            return f"{leg.role}: quantity {leg.quantity} above the parent's {sized.quantity}"
        if leg.purpose is Purpose.PROTECT and leg.stop != wish.stop:
            return f"{leg.role}: expected stop {wish.stop}, found {leg.stop}"
    return None
