"""The alert message as TradingView sends it, field by field: text, number, time. What is not plainly so is refused."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from interlock.errors import MalformedMessage
from interlock.intake.rules import Refusal, shown
from interlock.model.ids import StrategyName
from interlock.model.money import Nanos, plain
from interlock.model.signal import Alert, AlertAction

TEXT_MAX: Final = 128
_ACTIONS: Final = {action.value: action for action in AlertAction}
_NUMBER: Final = re.compile(r"[+-]?(\d{1,28}(\.\d{0,28})?|\.\d{1,28})([eE][+-]?\d{1,2})?", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_MILLIS: Final = re.compile(r"\d{1,13}", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST: Final = Decimal(10) ** 12
_FINEST: Final = -12
_NANOS_MAX: Final = 2**63 - 1


class Unreadable(MalformedMessage):
    """A field that does not say what it must; becomes a Refusal and never leaves this file."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.refusal = Refusal(code, reason)


def read_alert(body: Mapping[str, object]) -> Alert | Refusal:
    """The typed alert, or why there is none. Fields that are not ours are ignored; null is the same as absent.

    Of a close or target alert the stop and target are not read: one Pine message serves entries and exits, and a plot
    that is na at the exit must not keep the exit from being heard.
    """
    try:
        for name, value in body.items():
            if isinstance(value, str) and "{{" in value:
                raise Unreadable("schema.placeholder", f"{shown(name)} arrived unresolved: {shown(value)}")
        action = _action(body)
        is_entry = action in (AlertAction.BUY, AlertAction.SELL)
        price = _number(body, "price")
        if price is None and is_entry:
            raise Unreadable("schema.missing", f"price is missing, which {action.value} needs")
        return Alert(
            strategy=StrategyName(_text(body, "strategy")), action=action, symbol=_text(body, "symbol"),
            source_symbol=_text(body, "source_symbol"), script_id=_text(body, "script_id"),
            sent_time=_time(body, "sent_time"), bar_time=_time(body, "bar_time"), price=price,
            stop=_either(body, "stop", "sl") if is_entry else None,
            target=_either(body, "target", "tp") if is_entry else None,
            position=_number(body, "position"), alert_id=_id(body))
    except Unreadable as no:
        return no.refusal


def _text(body: Mapping[str, object], name: str) -> str:
    value = body.get(name)
    if value is None:
        raise Unreadable("schema.missing", f"{name} is missing")
    if not isinstance(value, str):
        raise Unreadable("schema.type", f"{name}: expected text, found {shown(value)}")
    if not value or len(value) > TEXT_MAX or not value.isprintable():
        raise Unreadable("schema.text", f"{name}: expected 1 to {TEXT_MAX} printable characters, found {shown(value)}")
    return value


def _id(body: Mapping[str, object]) -> str | None:
    value = body.get("id")
    if value is None:
        return None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(body, "id")


def _action(body: Mapping[str, object]) -> AlertAction:
    word = _text(body, "action")
    action = _ACTIONS.get(word)
    if action is None:
        raise Unreadable("schema.action", f"action: expected one of {', '.join(_ACTIONS)}, found {shown(word)}")
    return action


def _number(body: Mapping[str, object], name: str) -> Decimal | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Unreadable("schema.type", f"{name}: expected a number, found {shown(value)}")
    text = repr(value) if isinstance(value, float) else str(value)
    if not _NUMBER.fullmatch(text):
        raise Unreadable("schema.number", f"{name}: expected a finite number, found {shown(value)}")
    number = Decimal(text)
    exponent = number.normalize().as_tuple().exponent
    if abs(number) >= _LARGEST or not isinstance(exponent, int) or exponent < _FINEST:
        raise Unreadable("schema.number", f"{name}: expected below 1e12 and at most 12 decimals, found {shown(value)}")
    return number


def _either(body: Mapping[str, object], name: str, other: str) -> Decimal | None:
    first, second = _number(body, name), _number(body, other)
    if first is not None and second is not None and first != second:
        raise Unreadable("schema.conflict", f"{name} is {plain(first)} and {other} is {plain(second)}")
    return second if first is None else first


def _time(body: Mapping[str, object], name: str) -> Nanos:
    value = body.get(name)
    if value is None:
        raise Unreadable("schema.missing", f"{name} is missing")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unreadable("schema.type", f"{name}: expected a time, found {shown(value)}")
    nanos = _nanos(str(value))
    if nanos is None or not 0 < nanos <= _NANOS_MAX:
        raise Unreadable("schema.time",
                         f"{name}: expected ISO 8601 with a zone, or epoch milliseconds, found {shown(value)}")
    return nanos


def _nanos(text: str) -> Nanos | None:
    if _MILLIS.fullmatch(text):
        return int(text) * 1_000_000
    if not _TIME.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:                 # the 30th of February has the right form and is no day
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
