"""When a market is open: a table of sessions, compiled beforehand. What the table does not know is closed.

Zones exist only in the compiler; here are integers: opens and closes, and for each zone the moments at which its
distance from UTC changes.
"""

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from interlock.errors import InputError
from interlock.model.money import DAY, MINUTE, Nanos
from interlock.model.view import Session

PAUSE: Final = 30 * MINUTE
"""A halt up to this long is no end of the day: positions need not be flat before it."""

_EPOCH: Final = date(1970, 1, 1).toordinal()
_FOREVER: Final = 2**63 - 1


class Offsets(NamedTuple):
    """A zone's distance from UTC: `nanos[i]` from `since[i]` on. The first `since` lies before all that is asked."""

    since: Sequence[Nanos]
    nanos: Sequence[Nanos]

    def at(self, ts: Nanos) -> Nanos:
        return self.nanos[max(bisect_right(self.since, ts) - 1, 0)]


UTC: Final = Offsets((0,), (0,))


class _Open(NamedTuple):
    ts_open: Nanos
    ts_close: Nanos
    ts_flat: Nanos
    trade_date: str


_NEVER: Final = _Open(0, 0, 0, "")


class SessionTable:
    """The sessions of one calendar, oldest first, half-open and apart from each other.

    `trade_days` are day numbers since 1970-01-01. `known` is the span that the table speaks about: in it, what lies in
    no session is closed and known to be; outside it nothing is known. Raises InputError for a table out of order.
    """

    def __init__(self, calendar: str, zone: str, opens: Sequence[Nanos], closes: Sequence[Nanos],
                 trade_days: Sequence[int], offsets: Mapping[str, Offsets], known: tuple[Nanos, Nanos]) -> None:
        if zone not in offsets:
            raise InputError(f"calendar {calendar}: no offsets for its zone {zone}")
        if not len(opens) == len(closes) == len(trade_days):
            raise InputError(
                f"calendar {calendar}: {len(opens)} opens, {len(closes)} closes, {len(trade_days)} trade dates")
        for i, (ts_open, ts_close) in enumerate(zip(opens, closes, strict=True)):
            if ts_open >= ts_close or (i and (ts_open < closes[i - 1] or trade_days[i] < trade_days[i - 1])):
                raise InputError(f"calendar {calendar}: session {i} ends before it begins, or begins too early")
        self.calendar = calendar
        self.zone = zone
        self.known = known
        self._opens, self._closes, self._days = array("q", opens), array("q", closes), array("q", trade_days)
        self._flats = array("q", closes)
        for i in range(len(opens) - 2, -1, -1):
            if opens[i + 1] - closes[i] <= PAUSE:
                self._flats[i] = self._flats[i + 1]
        self._offsets = dict(offsets)
        self._own = self._offsets[zone]
        self._last = _NEVER

    @staticmethod
    def continuous(calendar: str) -> "SessionTable":
        """A market that never closes: one session per UTC day, nothing that asks to be flat."""
        return _Continuous(calendar, "UTC", (), (), (), {"UTC": UTC}, (-_FOREVER, _FOREVER))

    def __len__(self) -> int:
        return len(self._opens)

    def session_at(self, ts: Nanos) -> Session:
        """The session that `ts` lies in, or a closed one."""
        found = self._find(ts)
        return Session(is_open=found is not _NEVER, is_known=self.known[0] <= ts < self.known[1],
                       trade_date=found.trade_date, ts_open=found.ts_open, ts_close=found.ts_close,
                       ts_flat=found.ts_flat, local_minute=self.local_minute(ts), zone=self.zone)

    def is_open(self, ts: Nanos) -> bool:
        return self._find(ts) is not _NEVER

    def trade_date(self, ts: Nanos) -> str:
        """The ISO date that trading at `ts` belongs to, "" when closed."""
        return self._find(ts).trade_date

    def next_open(self, ts: Nanos) -> Nanos | None:
        """The first open after `ts`; None where the table ends."""
        at = bisect_right(self._opens, ts)
        return self._opens[at] if at < len(self._opens) else None

    def local_minute(self, ts: Nanos, zone: str | None = None) -> int:
        """Minute of the day, 0 to 1439, in the table's zone or in another one that it knows."""
        offsets = self._own if zone is None else self._offsets.get(zone)
        if offsets is None:
            known = ", ".join(self._offsets)
            raise InputError(f"calendar {self.calendar}: no offsets for zone {zone!r}, it has {known}")
        return (ts + offsets.at(ts)) % DAY // MINUTE

    def _find(self, ts: Nanos) -> _Open:
        last = self._last
        if last.ts_open <= ts < last.ts_close:
            return last
        at = bisect_right(self._opens, ts) - 1
        if at < 0 or ts >= self._closes[at]:
            return _NEVER
        self._last = _Open(self._opens[at], self._closes[at], self._flats[at],
                           date.fromordinal(_EPOCH + self._days[at]).isoformat())
        return self._last


class _Continuous(SessionTable):
    def next_open(self, ts: Nanos) -> Nanos | None:
        return (ts // DAY + 1) * DAY

    def _find(self, ts: Nanos) -> _Open:
        last = self._last
        if not last.ts_open <= ts < last.ts_close:
            day = ts // DAY
            self._last = last = _Open(day * DAY, (day + 1) * DAY, _FOREVER, date.fromordinal(_EPOCH + day).isoformat())
        return last
