"""The shipped trading hours, 2012-2028: rules.toml and holidays.toml as people review them, sessions.bin compiled."""

import sys
import zlib
from array import array
from functools import cache
from importlib import resources
from itertools import accumulate
from typing import Final

import msgspec
from msgspec import Struct

from interlock.errors import ConfigError
from interlock.model.calendar import Offsets, SessionTable
from interlock.model.money import MINUTE

CONTINUOUS: Final = ("crypto", "always_open")
"""Calendars that never close; the second is that of the simulated market."""


class CompiledZone(Struct, frozen=True, array_like=True):
    since: list[int]                   # minutes since 1970
    offsets: list[int]                 # minutes


class CompiledCalendar(Struct, frozen=True, array_like=True):
    """Opens in minutes and trade dates in days since 1970, both as steps from the one before, int32 little endian."""

    zone: str
    opens: bytes
    lengths: list[int]                 # minutes
    trade_days: bytes


class CompiledSessions(Struct, frozen=True, array_like=True):
    known_from: int
    known_to: int
    zones: dict[str, CompiledZone]
    calendars: dict[str, CompiledCalendar]


def decode(raw: bytes) -> CompiledSessions:
    """The content of sessions.bin. Raises ConfigError when it is none."""
    try:
        return msgspec.msgpack.decode(zlib.decompress(raw), type=CompiledSessions)
    except (zlib.error, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"the table of sessions cannot be read: {error}") from error


@cache
def _shipped() -> CompiledSessions:
    return decode(resources.files(__name__).joinpath("sessions.bin").read_bytes())


def calendars() -> tuple[str, ...]:
    """The names of all calendars."""
    return (*_shipped().calendars, *CONTINUOUS)


@cache
def load(calendar: str) -> SessionTable:
    """The sessions of a calendar, made once per process. Raises ConfigError for a name that is none."""
    if calendar in CONTINUOUS:
        return SessionTable.continuous(calendar)
    shipped = _shipped()
    found = shipped.calendars.get(calendar)
    if found is None:
        raise ConfigError(f"no calendar is named {calendar!r}; there are {', '.join(calendars())}")
    offsets = {name: Offsets([at * MINUTE for at in zone.since], [offset * MINUTE for offset in zone.offsets])
               for name, zone in shipped.zones.items()}
    opens = _summed(found.opens)
    return SessionTable(calendar, found.zone, [at * MINUTE for at in opens],
                        [(at + length) * MINUTE for at, length in zip(opens, found.lengths, strict=True)],
                        _summed(found.trade_days), offsets, (shipped.known_from * MINUTE, shipped.known_to * MINUTE))


def _summed(raw: bytes) -> list[int]:
    steps = array("i")
    steps.frombytes(raw)
    if sys.byteorder == "big":
        steps.byteswap()
    return list(accumulate(steps))
