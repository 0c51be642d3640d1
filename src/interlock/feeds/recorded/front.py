"""Which listed month is the front one, on each trade date, from the calendar and from what was known by then.

The front month is the nearest one of the cycle whose roll date has not come. Roll dates: index futures the Monday of
the expiry week; currencies the same (their expiry week is that of the third Wednesday); energy five business days
before the last trade; metals three business days before the first notice. Earlier, when the next month of the cycle
traded more than the front on two consecutive trade dates, from the trade date after the second one.

Two trade dates of a recording are consecutive when one follows the other in the file and they lie at most four calendar
days apart (a weekend and a holiday); a longer hole in the recording starts the count anew. A month without rows on a
date traded nothing there. The cycle is that of the months people trade: quarterly for index and currencies, G J M Q Z
for metals, every month for energy. A date knows only the calendar and the volumes of the dates before it.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from interlock.errors import InputError
from interlock.feeds.recorded.kinds import Contract
from interlock.feeds.recorded.source import Ints
from interlock.model.instrument import Instrument

_CONSECUTIVE_DAYS_MAX: Final = 4
_HOUR: Final = 3_600_000_000_000
_EPOCH: Final = date(1970, 1, 1)
_DAY: Final = timedelta(days=1)
_CHICAGO: Final = ZoneInfo("America/Chicago")


class Rule(NamedTuple):
    """The months of a cycle, and the trade date from which a contract is no longer the front one."""

    months: tuple[int, ...]
    roll: Callable[[Contract], date]


def rule_of(instrument: Instrument, file: str) -> Rule:
    """The rule of an instrument by its calendar. Raises InputError where there is none."""
    rule = _RULES.get(instrument.calendar)
    if rule is None:
        raise InputError(f"{file}: several contracts, and no roll rule for the calendar {instrument.calendar} of "
                         f"{instrument.symbol}; expected one of {', '.join(_RULES)}, or a file of one contract")
    return rule


def front_months(rule: Rule, volumes: Mapping[tuple[int, Contract], int]) -> dict[int, Contract]:
    """The front month per trade date (days since 1970), given what each contract traded on each date."""
    fronts: dict[int, Contract] = {}
    rolled: Contract | None = None
    last: Contract | None = None
    ahead, before = 0, 0
    for day in sorted({day for day, _ in volumes}):
        front = _by_calendar(rule, _EPOCH + day * _DAY)
        if rolled is not None and rolled > front:
            front = rolled
        fronts[day] = front
        following = _following(rule, front)
        if volumes.get((day, following), 0) <= volumes.get((day, front), 0):
            ahead = 0
        elif ahead and front == last and day - before <= _CONSECUTIVE_DAYS_MAX:
            rolled, ahead = following, 0
        else:
            ahead = 1
        last, before = front, day
    return fronts


def trade_dates(ts: Ints) -> Ints:
    """The trade date of each time, as days since 1970: the day that ends at the evening open, 17:00 in Chicago."""
    hours, where = np.unique(ts // _HOUR, return_inverse=True)
    days = np.array([(hour + _chicago_offset(hour) + 7) // 24 for hour in hours.tolist()], np.int64)
    return days[where]


@lru_cache(maxsize=1 << 16)
def _chicago_offset(hour: int) -> int:
    offset = datetime.fromtimestamp(hour * 3600, UTC).astimezone(_CHICAGO).utcoffset()
    assert offset is not None
    return offset // timedelta(hours=1)


def _by_calendar(rule: Rule, day: date) -> Contract:
    contract = Contract(day.year, day.month)
    while contract.month not in rule.months or rule.roll(contract) <= day:
        contract = _month_after(contract)
    return contract


def _following(rule: Rule, contract: Contract) -> Contract:
    contract = _month_after(contract)
    while contract.month not in rule.months:
        contract = _month_after(contract)
    return contract


def _month_after(contract: Contract) -> Contract:
    return Contract(contract.year + contract.month // 12, contract.month % 12 + 1)


def _nth(contract: Contract, weekday: int, n: int) -> date:
    first = date(contract.year, contract.month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _roll_index(contract: Contract) -> date:
    return _nth(contract, 4, 3) - 4 * _DAY                 # the third Friday's Monday


def _roll_currency(contract: Contract) -> date:
    return _nth(contract, 2, 3) - 2 * _DAY                 # the third Wednesday's Monday


def _roll_energy(contract: Contract) -> date:
    anchor = (date(contract.year, contract.month, 1) - _DAY).replace(day=25)
    while not _is_business(anchor):
        anchor -= _DAY
    return _business_before(anchor, 3 + 5)                 # last trade three before the 25th, roll five before that


def _roll_metal(contract: Contract) -> date:
    notice = date(contract.year, contract.month, 1) - _DAY
    while not _is_business(notice):
        notice -= _DAY
    return _business_before(notice, 3)


def _business_before(day: date, count: int) -> date:
    while count:
        day -= _DAY
        count -= _is_business(day)
    return day


def _is_business(day: date) -> bool:
    return day.weekday() < 5 and day not in _holidays(day.year)


@lru_cache(maxsize=256)
def _holidays(year: int) -> frozenset[date]:
    """The holidays of the New York exchanges that move a roll date."""
    def nth(month: int, weekday: int, n: int) -> date:
        return _nth(Contract(year, month), weekday, n)

    def observed(month: int, day: int) -> date:
        found = date(year, month, day)
        return found + {5: -_DAY, 6: _DAY}.get(found.weekday(), timedelta())

    may_31 = date(year, 5, 31)
    days = [observed(1, 1), nth(1, 0, 3), nth(2, 0, 3), _easter(year) - 2 * _DAY, may_31 - may_31.weekday() * _DAY,
            observed(7, 4), nth(9, 0, 1), nth(11, 3, 4), observed(12, 25)]
    if year >= 2022:
        days.append(observed(6, 19))
    return frozenset(days)


def _easter(year: int) -> date:
    """Easter Sunday, Gregorian (Meeus, Jones and Butcher)."""
    century, rest = divmod(year, 100)
    leap, quarter = divmod(century, 4)
    shift = (century - (century + 8) // 25 + 1) // 3
    moon = (19 * (year % 19) + century - leap - shift + 15) % 30
    week = (32 + 2 * quarter + 2 * (rest // 4) - moon - rest % 4) % 7
    late = (year % 19 + 11 * moon + 22 * week) // 451
    month, day = divmod(moon + week - 7 * late + 114, 31)
    return date(year, month, day + 1)


_RULES: Final[dict[str, Rule]] = {
    "cme_index": Rule((3, 6, 9, 12), _roll_index),
    "cme_fx": Rule((3, 6, 9, 12), _roll_currency),
    "nymex_energy": Rule(tuple(range(1, 13)), _roll_energy),
    "comex_metal": Rule((2, 4, 6, 8, 12), _roll_metal),
}
