"""The exchange's hours for oracles: zoneinfo, a rule in one line, and half days written down by hand.

Shares nothing with the compiled tables that the product reads. Equity index futures: the trading day runs from 17:00 on the
evening before to 16:00, Chicago time; on the days listed here it ends earlier, or does not happen.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

CHICAGO: Final = ZoneInfo("America/Chicago")
SECOND: Final = 1_000_000_000
EARLY: Final[dict[date, time]] = {
    date(2023, 7, 3): time(12, 15), date(2023, 11, 24): time(12, 15), date(2024, 7, 3): time(12, 15),
    date(2024, 11, 29): time(12, 15), date(2024, 12, 24): time(12, 15),
}
"""Trading days that end early, as the exchange announced them."""


def at(day: date, hour: int, minute: int = 0, *, zone: ZoneInfo = CHICAGO) -> int:
    """A local time as nanoseconds."""
    return int(datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC).timestamp()) * SECOND


def session(day: date) -> tuple[int, int]:
    """Open and close of one trading day (a Monday to Friday without a holiday)."""
    end = EARLY.get(day, time(16, 0))
    return at(day - timedelta(days=1), 17), at(day, end.hour, end.minute)


def around(ts: int, cut_off: int, days: int = 4) -> tuple[tuple[int, int, int], ...]:
    """Sessions near `ts` as (open, close, entry cut-off); `cut_off` is how long before the close the last entry may leave."""
    here = datetime.fromtimestamp(ts // SECOND, UTC).astimezone(CHICAGO).date()
    found = []
    for step in range(-days, days + 1):
        day = here + timedelta(days=step)
        if day.weekday() < 5:
            opened, closed = session(day)
            found.append((opened, closed, closed - cut_off))
    return tuple(found)


def day_end(ts: int) -> int:
    """When the trading day that a moment counts to ends: the next 17:00 in Chicago."""
    here = datetime.fromtimestamp(ts // SECOND, UTC).astimezone(CHICAGO)
    end = at(here.date(), 17)
    return end if ts < end else at(here.date() + timedelta(days=1), 17)


def trading_day(ts: int) -> date:
    """The trading day that a moment counts to: from 17:00 in Chicago on it is the next one."""
    here = datetime.fromtimestamp(ts // SECOND, UTC).astimezone(CHICAGO)
    return here.date() + timedelta(days=1) if here.hour >= 17 else here.date()
