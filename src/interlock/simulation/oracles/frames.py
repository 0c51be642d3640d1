"""A reader of the venue's messages for oracles alone: plain JSON to plain values, numbers as exact fractions."""

from fractions import Fraction
from typing import Any

import msgspec
from msgspec import Struct

_decode = msgspec.json.Decoder().decode


class Leg(Struct, frozen=True):
    """One leg of an order message, as the bytes say it."""

    id: str
    role: str
    purpose: str
    side: int
    quantity: Fraction
    kind: str
    limit: Fraction | None
    stop: Fraction | None
    tif: str
    is_reduce_only: bool
    texts: tuple[str, ...]             # quantity, limit and stop as they are spelled


class OrderMessage(Struct, frozen=True):
    account: str
    symbol: str
    legs: tuple[Leg, ...]
    replaces: str

    @property
    def id(self) -> str:
        return self.legs[0].id

    @property
    def is_entry(self) -> bool:
        return self.legs[0].purpose == "enter"


class Unreadable(ValueError):
    """Bytes that are no message of the venue's language."""


def number(value: Any) -> Fraction:
    """An exact number from its text; a float or a NaN is none. Raises Unreadable."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unreadable(f"not an exact number: {value!r}")
    try:
        return Fraction(value)
    except (ValueError, ZeroDivisionError):
        raise Unreadable(f"not a number: {value!r}") from None


def plain(value: Any) -> str:
    """A number's shortest spelling, made from its text alone: what a clearance signs."""
    text = str(value)
    if "e" in text or "E" in text:
        return text
    sign = text.startswith("-")
    whole, _, part = text.lstrip("+-").partition(".")
    whole, part = whole.lstrip("0") or "0", part.rstrip("0")
    text = f"{whole}.{part}" if part else whole
    return f"-{text}" if sign and text != "0" else text


def message(body: bytes) -> dict[str, Any]:
    """Any message. Raises Unreadable."""
    try:
        found = _decode(body)
    except msgspec.DecodeError as error:
        raise Unreadable(str(error)) from None
    if not isinstance(found, dict):
        raise Unreadable(f"no object: {body[:60]!r}")
    return found


def order(body: bytes) -> OrderMessage:
    """An order message. Raises Unreadable."""
    found = message(body)
    try:
        legs = tuple(_leg(leg) for leg in found["legs"])
        if found["op"] != "order" or not legs:
            raise Unreadable("no order message")
        return OrderMessage(str(found["account"]), str(found["symbol"]), legs, str(found.get("replaces", "")))
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"not an order message: {error!r}") from None


def _leg(leg: dict[str, Any]) -> Leg:
    limit, stop = leg.get("limit"), leg.get("stop")
    return Leg(
        str(leg["id"]), str(leg["role"]), str(leg["purpose"]), {"buy": 1, "sell": -1}[leg["side"]], number(leg["quantity"]),
        str(leg["type"]), None if limit is None else number(limit), None if stop is None else number(stop), str(leg["tif"]),
        bool(leg.get("reduce", False)),
        (plain(leg["quantity"]), "" if limit is None else plain(limit), "" if stop is None else plain(stop)))
