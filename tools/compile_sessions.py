"""Compile the reviewed trading hours into the table that is shipped: `python tools/compile_sessions.py [--check]`.

Reads rules.toml and holidays.toml of `interlock.config.sessions`, writes sessions.bin beside them. Zones exist here and
nowhere else. With --check nothing is written; exit 1 says that the shipped table is not what the rules say.
"""

from __future__ import annotations

import sys
import tomllib
import zlib
from array import array
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from interlock.config import sessions
from interlock.config.sessions import CompiledCalendar, CompiledSessions, CompiledZone

HERE: Final = Path(sessions.__file__).parent
FIRST: Final = date(2012, 1, 1)
LAST: Final = date(2028, 12, 31)
ZONES: Final = ("America/Chicago", "America/New_York")
ONE_DAY: Final = timedelta(days=1)


def main() -> int:
    built = build()
    path = HERE / "sessions.bin"
    if "--check" in sys.argv[1:]:
        return 0 if path.exists() and sessions.decode(path.read_bytes()) == built else 1
    path.write_bytes(zlib.compress(msgspec.msgpack.encode(built), 9))
    for name, calendar in built.calendars.items():
        print(f"{name}: {len(calendar.lengths)} sessions")
    return 0


def build() -> CompiledSessions:
    """The table that the rules say."""
    rules = tomllib.loads((HERE / "rules.toml").read_text())
    years = tomllib.loads((HERE / "holidays.toml").read_text()).values()
    holidays = {date.fromisoformat(day): kind for year in years for day, (kind, _) in year.items()}
    merged = frozenset(rules.pop("merged"))
    return CompiledSessions(
        known_from=minutes(FIRST, time(0), ZoneInfo("UTC")), known_to=minutes(LAST + ONE_DAY, time(0), ZoneInfo("UTC")),
        zones={name: zone(name) for name in ZONES},
        calendars={name: calendar(rule, holidays, merged) for name, rule in rules.items()})


def calendar(rule: dict[str, Any], holidays: dict[date, str], merged: frozenset[str]) -> CompiledCalendar:
    opens, closes, days = array("i"), array("i"), array("i")
    for ts_open, ts_close, trade_date in periods(rule, holidays, merged):
        if closes and ts_open < closes[-1]:
            raise ValueError(f"{trade_date}: a session begins before the one before it ends")
        opens.append(ts_open)
        closes.append(ts_close)
        days.append((trade_date - date(1970, 1, 1)).days)
    lengths = [close - start for start, close in zip(opens, closes, strict=True)]
    return CompiledCalendar(rule["zone"], steps(opens), lengths, steps(days))


def steps(numbers: array[int]) -> bytes:
    """The first number and the distance of each from the one before it, which compresses well."""
    told = array("i", [number - before for number, before in zip(numbers, [0, *numbers], strict=False)])
    if sys.byteorder == "big":
        told.byteswap()
    return told.tobytes()


def periods(rule: dict[str, Any], holidays: dict[date, str], merged: frozenset[str]) -> Iterator[tuple[int, int, date]]:
    """Open and close of each continuous period in minutes since 1970, and the trade date that it belongs to."""
    place = ZoneInfo(rule["zone"])
    waiting: list[tuple[int, int]] = []                   # periods of a holiday, until the trade date they belong to
    for day in weekdays():
        kind = holidays.get(day, "")
        hours = in_force(rule["hours"], day)
        close = hours["close"]
        is_merged = False
        if kind:
            row = in_force(rule["kinds"][kind], day)
            said = row.get("friday", row["close"]) if day.weekday() == 4 else row["close"]
            if said == "closed":
                continue
            if said != "regular":
                close, is_merged = said, kind in merged
        before = hours["open"].startswith("-")
        start = minutes(day - ONE_DAY if before else day, time.fromisoformat(hours["open"].lstrip("-")), place)
        end = minutes(day, time.fromisoformat(close), place)
        halts = [(minutes(day, time.fromisoformat(a), place), minutes(day, time.fromisoformat(b), place))
                 for a, b in hours["halts"]]
        parts = list(cut(start, end, halts))
        if is_merged:
            waiting += parts
            continue
        for part in (*waiting, *parts):
            yield *part, day
        waiting.clear()


def cut(start: int, end: int, halts: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for halt_start, halt_end in halts:
        if start < halt_start < end:
            yield start, halt_start
            start = halt_end
    if start < end:
        yield start, end


def in_force(rows: list[dict[str, Any]], day: date) -> dict[str, Any]:
    """The last row that had begun by then."""
    return [row for row in rows if date.fromisoformat(row["since"]) <= day][-1]


def weekdays() -> Iterator[date]:
    day = FIRST
    while day <= LAST:
        if day.weekday() < 5:
            yield day
        day += ONE_DAY


def minutes(day: date, at: time, place: ZoneInfo) -> int:
    return int(datetime.combine(day, at, place).timestamp()) // 60


def zone(name: str) -> CompiledZone:
    """The moments at which the zone's distance from UTC changes, found hour by hour; all in minutes."""
    place = ZoneInfo(name)
    since, offsets = array("i"), array("i")
    at, end = datetime(2012, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
    while at < end:
        offset = int(at.astimezone(place).utcoffset().total_seconds()) // 60  # type: ignore[union-attr]
        if not offsets or offsets[-1] != offset:
            since.append(int(at.timestamp()) // 60)
            offsets.append(offset)
        at += timedelta(hours=1)
    return CompiledZone(since.tolist(), offsets.tolist())


if __name__ == "__main__":
    sys.exit(main())
