"""Exact numbers: Decimal in orders, fills and cash. A number that is missing, NaN or infinite is not a number here."""

from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

from interlock.errors import MalformedMessage

Nanos: TypeAlias = int
"""int64 nanoseconds UTC."""

MILLISECOND: Final[Nanos] = 1_000_000
SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
DAY: Final = 86_400 * SECOND


def parse_decimal(text: object, what: str) -> Decimal:
    """A finite Decimal from a decimal string, an int or a float's shortest spelling.

    Raises MalformedMessage naming `what` for anything else, NaN and infinities included.
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float | Decimal):
        raise MalformedMessage(f"{what}: expected a number, found {text!r}")
    try:
        value = Decimal(repr(text) if isinstance(text, float) else text)
    except InvalidOperation:
        raise MalformedMessage(f"{what}: expected a number, found {text!r}") from None
    if not value.is_finite():
        raise MalformedMessage(f"{what}: expected a finite number, found {text!r}")
    return value


def plain(value: Decimal) -> str:
    """The normalised spelling: no exponent, no trailing zeros, no negative zero.

    >>> plain(Decimal("1.500")), plain(Decimal("1E+3")), plain(Decimal("-0"))
    ('1.5', '1000', '0')
    """
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
