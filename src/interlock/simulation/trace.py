"""One run as a story: when, who, what, a line each."""

from collections.abc import Iterator
from typing import Any

import msgspec

from interlock.simulation.history import (
    Act,
    Beat,
    Disk,
    Durable,
    Event,
    FaultDone,
    History,
    Lease,
    Lost,
    Nanos,
    Node,
    Notified,
    Phase,
    Recovered,
    Seen,
    Shown,
    Signal,
    Task,
    VenueFill,
    VenueLine,
    VenueOrder,
    Wire,
)

QUIET = frozenset(("TapeMark", "Tick", "Header", "ConfigRead", "Held", "AlertReceived", "AccountRead", "ReadRequested"))
"""Entries that tell no story."""
_LONG = 150


def story(history: History, *, whole: bool = False) -> Iterator[str]:
    """The lines of a trace. `whole` leaves nothing out; otherwise quotes, pings, reads and ticks are."""
    for event in history.events:
        yield from _lines(event, history.begins, whole=whole)
    if history.violation is not None:
        found = history.violation
        yield f"{_time(found.ts, history.begins)}  {'VIOLATION':<10} {found.invariant}: {found.text}"


def _lines(event: Event, begins: Nanos, *, whole: bool) -> Iterator[str]:
    at = _time(event.ts, begins)
    match event:
        case Durable():
            for kept in event.entries:
                name = type(kept.payload).__name__
                if whole or name not in QUIET:
                    yield f"{at}  {'journal':<10} {kept.seq} <- {kept.cause} {name} {_short(kept.payload)}"
        case Wire():
            if whole or event.kind not in ("read", "ping"):
                arrow, lost = ("->" if event.direction == "out" else "<-"), "" if event.arrived else "  (lost)"
                yield f"{at}  {event.node:<10} {arrow} {event.kind} {event.body.decode(errors='replace')[:_LONG * 2]}{lost}"
        case VenueOrder():
            yield (f"{at}  {event.account:<10} venue: {event.what} {event.id} {event.role} {event.side:+d} x {event.quantity} "
                   f"{event.symbol} {event.kind} {'' if event.price is None else float(event.price)} {event.reason}")
        case VenueFill():
            yield (f"{at}  {event.account:<10} venue: fill {event.execution} of {event.id} {event.side:+d} x {event.quantity} "
                   f"{event.symbol} at {float(event.price)} by {event.by}")
        case Seen():
            if whole:
                yield f"{at}  {'market':<10} {_short(event.message)}"
        case Act():
            word = "" if event.ok is None else f" -> {event.answer[:_LONG]}"
            yield f"{at}  {event.who:<10} {_short(event.command)}{word}"
        case Signal():
            what = f"{event.body.get('action')} {event.body.get('symbol')} of {event.body.get('strategy')}"
            yield f"{at}  {'hook':<10} {what}: {event.code}"
        case FaultDone():
            yield f"{at}  {'FAULT':<10} {event.verb} {event.what} (state: {event.state})"
        case Node() | VenueLine() | Lost() | Recovered() | Lease() | Beat() | Disk() | Shown() | Notified() | Phase() | Task():
            if whole or not isinstance(event, Beat):
                yield f"{at}  {type(event).__name__.lower():<10} {_short(event)}"
        case _:
            yield f"{at}  {_short(event)}"


def _time(ts: Nanos, begins: Nanos) -> str:
    return f"{(ts - begins) / 1e9:>10.6f}"


def _short(value: Any) -> str:
    name = type(value).__name__
    if name == "Verdict":
        result = value.result
        return f"{value.profile.value} {value.account} {value.signal_id}: {getattr(result, 'code', 'cleared')} " \
               f"{getattr(result, 'reason', '')}"[:_LONG]
    if name == "Clearance":
        content = value.content
        epochs = tuple(msgspec.structs.astuple(content.epochs))
        return f"{content.account} {content.client_order_id} {content.profile} epochs {epochs}"
    if name == "Attempt":
        legs = ", ".join(f"{leg.role} {leg.side.value} {leg.quantity} {leg.type.value} {leg.limit or leg.stop or ''} "
                         f"{leg.client_order_id}" for leg in value.order.legs)
        return f"{value.order.account} {value.order.instrument} [{legs}] replaces {value.order.replaces}"
    if name == "Lost":
        return f"{value.why}: {', '.join(type(payload).__name__ for payload in value.payloads)}"[:_LONG]
    return str(value)[:_LONG]
