"""The shipped sessions against published days and against recordings, and the table's own rules."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from interlock.config import sessions
from interlock.config.sessions import calendars, load
from interlock.errors import ConfigError, InputError
from interlock.model.calendar import UTC as UTC_OFFSETS
from interlock.model.calendar import SessionTable
from interlock.model.money import DAY, MINUTE, SECOND

CHICAGO, NEW_YORK = ZoneInfo("America/Chicago"), ZoneInfo("America/New_York")
ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = Path(
    os.environ.get("INTERLOCK_RECORDINGS") or next(ROOT.parent.glob("*/data/open"), ROOT / "absent").parent
)
COMPILED = ("cme_index", "nymex_energy", "comex_metal", "cme_fx", "us_equity")


def at(text, zone=CHICAGO):
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * SECOND


def opens_and_closes(calendar, day):
    """The periods that touch a local day, as local times."""
    table = load(calendar)
    zone = ZoneInfo(table.zone)
    found, ts, end = [], at(f"{day} 00:00", zone), at(f"{day} 00:00", zone) + DAY
    while ts < end:
        session = table.session_at(ts)
        if session.is_open:
            local = [datetime.fromtimestamp(t // SECOND, zone) for t in (session.ts_open, session.ts_close)]
            found.append((local[0].strftime("%m-%d %H:%M"), local[1].strftime("%m-%d %H:%M"), session.trade_date))
            ts = session.ts_close
        else:
            ts = table.next_open(ts) or end
    return found


GOLDEN = [
    # the day after Thanksgiving: an early close, and its own trade date, to which Thanksgiving's part belongs
    ("cme_index", "2026-11-27", [("11-26 17:00", "11-27 12:15", "2026-11-27")]),
    (
        "cme_index",
        "2026-11-26",
        [("11-25 17:00", "11-26 12:00", "2026-11-27"), ("11-26 17:00", "11-27 12:15", "2026-11-27")],
    ),
    ("us_equity", "2026-11-27", [("11-27 09:30", "11-27 13:00", "2026-11-27")]),
    ("us_equity", "2026-11-26", []),
    ("cme_index", "2026-12-24", [("12-23 17:00", "12-24 12:15", "2026-12-24")]),
    ("us_equity", "2026-12-24", [("12-24 09:30", "12-24 13:00", "2026-12-24")]),
    ("cme_index", "2026-12-25", []),
    # a Monday holiday: a part that halts at noon and belongs to Tuesday
    (
        "cme_index",
        "2026-01-19",
        [("01-18 17:00", "01-19 12:00", "2026-01-20"), ("01-19 17:00", "01-20 16:00", "2026-01-20")],
    ),
    ("us_equity", "2026-01-19", []),
    # a Friday holiday: its part belongs to Monday
    ("cme_index", "2026-06-19", [("06-18 17:00", "06-19 12:00", "2026-06-22")]),
    # Good Friday with the employment report
    ("cme_index", "2026-04-03", [("04-02 17:00", "04-03 08:15", "2026-04-06")]),
    ("cme_fx", "2026-04-03", [("04-02 17:00", "04-03 10:15", "2026-04-06")]),
    ("us_equity", "2026-04-03", []),
    ("comex_metal", "2026-04-03", []),
    # the Mondays after the clocks changed
    (
        "cme_index",
        "2026-03-09",
        [("03-08 17:00", "03-09 16:00", "2026-03-09"), ("03-09 17:00", "03-10 16:00", "2026-03-10")],
    ),
    (
        "cme_index",
        "2026-11-02",
        [("11-01 17:00", "11-02 16:00", "2026-11-02"), ("11-02 17:00", "11-03 16:00", "2026-11-03")],
    ),
    # hours that were in force then
    (
        "cme_index",
        "2013-10-08",
        [
            ("10-07 17:00", "10-08 15:15", "2013-10-08"),
            ("10-08 15:30", "10-08 16:15", "2013-10-08"),
            ("10-08 17:00", "10-09 15:15", "2013-10-09"),
        ],
    ),
    (
        "cme_index",
        "2015-09-18",
        [("09-17 17:00", "09-18 15:15", "2015-09-18"), ("09-18 15:30", "09-18 16:15", "2015-09-18")],
    ),
    (
        "cme_index",
        "2015-09-25",
        [("09-24 17:00", "09-25 15:15", "2015-09-25"), ("09-25 15:30", "09-25 16:00", "2015-09-25")],
    ),
    (
        "cme_index",
        "2021-06-25",
        [("06-24 17:00", "06-25 15:15", "2021-06-25"), ("06-25 15:30", "06-25 16:00", "2021-06-25")],
    ),
    ("cme_index", "2021-07-02", [("07-01 17:00", "07-02 16:00", "2021-07-02")]),
    ("comex_metal", "2013-10-11", [("10-10 17:00", "10-11 16:15", "2013-10-11")]),
    (
        "cme_index",
        "2014-01-20",
        [("01-19 17:00", "01-20 10:30", "2014-01-21"), ("01-20 17:00", "01-21 15:15", "2014-01-21")],
    ),
    (
        "cme_fx",
        "2024-01-15",
        [("01-14 17:00", "01-15 16:00", "2024-01-16"), ("01-15 17:00", "01-16 16:00", "2024-01-16")],
    ),
    ("cme_index", "2021-12-24", []),
    ("cme_index", "2012-10-29", []),
    ("us_equity", "2012-10-30", []),
    ("us_equity", "2025-01-09", []),
]


@pytest.mark.parametrize(
    ("calendar", "day", "expected"), GOLDEN, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_published_day_is_open_when_it_was(calendar, day, expected):
    assert opens_and_closes(calendar, day) == expected


@pytest.mark.parametrize("calendar", COMPILED)
def test_every_session_is_whole_minutes_apart_from_its_neighbours_and_within_a_day(calendar):
    table = load(calendar)
    years = set()
    at_open = table.next_open(table.known[0])
    last_close, last_date = 0, ""
    while (ts := at_open) is not None:
        at_open = table.next_open(ts)
        session = table.session_at(ts)
        assert session.is_open
        assert session.is_known
        assert session.ts_open == ts >= last_close
        assert session.ts_open % MINUTE == session.ts_close % MINUTE == 0
        assert 0 < session.ts_close - session.ts_open <= 23 * 60 * MINUTE + 15 * MINUTE
        assert session.ts_flat >= session.ts_close
        assert session.trade_date >= last_date
        assert not table.is_open(ts - 1) or last_close == ts
        last_close, last_date = session.ts_close, session.trade_date
        years.add(session.trade_date[:4])
    assert years == {str(year) for year in range(2012, 2029)}


@pytest.mark.parametrize("calendar", COMPILED[:4])
def test_a_usual_futures_day_is_as_long_as_its_era_says_whatever_the_clocks_do(calendar):
    table = load(calendar)

    usual = table.session_at(at("2026-03-09 10:00")), table.session_at(at("2026-11-02 10:00"))

    assert [session.ts_close - session.ts_open for session in usual] == [23 * 60 * MINUTE] * 2


def test_a_pause_within_the_day_is_closed_and_is_no_reason_to_be_flat():
    table = load("cme_index")

    before, pause = table.session_at(at("2013-10-08 15:00")), table.session_at(at("2013-10-08 15:20"))

    assert (before.ts_close, before.ts_flat) == (at("2013-10-08 15:15"), at("2013-10-08 16:15"))
    assert (pause.is_open, pause.is_known, pause.trade_date) == (False, True, "")
    assert table.session_at(at("2026-01-19 11:00")).ts_flat == at("2026-01-19 12:00"), (
        "five hours are more than a pause"
    )


def test_bounds_are_half_open():
    table = load("us_equity")
    opened, closed = at("2026-03-09 09:30", NEW_YORK), at("2026-03-09 16:00", NEW_YORK)

    assert [table.is_open(ts) for ts in (opened - 1, opened, closed - 1, closed)] == [False, True, True, False]
    assert table.next_open(opened - 1) == opened
    assert table.next_open(opened) == at("2026-03-10 09:30", NEW_YORK)


@pytest.mark.parametrize("ts", [at("2011-12-30 10:00"), at("2029-01-02 10:00"), 0, -1])
def test_what_the_table_does_not_know_is_closed_and_unknown(ts):
    session = load("cme_index").session_at(ts)

    assert (session.is_open, session.is_known, session.trade_date) == (False, False, "")


@pytest.mark.parametrize(
    "text", ["2026-01-15 09:31", "2026-03-08 17:00", "2026-07-15 00:00", "2026-11-01 23:59", "2013-03-11 12:00"]
)
def test_minutes_of_the_day_are_those_of_the_zone(text):
    ts = at(text)
    table = load("cme_index")
    there = datetime.fromtimestamp(ts // SECOND, NEW_YORK)

    assert table.local_minute(ts) == table.session_at(ts).local_minute == int(text[11:13]) * 60 + int(text[14:])
    assert table.local_minute(ts, "America/New_York") == there.hour * 60 + there.minute
    with pytest.raises(InputError, match="no offsets for zone"):
        table.local_minute(ts, "Mars/Olympus")


@pytest.mark.parametrize("calendar", ["crypto", "always_open"])
def test_a_market_that_never_closes_has_a_date_and_no_end(calendar):
    table = load(calendar)
    midnight = at("2026-03-09 00:00", UTC)

    for ts, date in ((midnight - 1, "2026-03-08"), (midnight, "2026-03-09"), (0, "1970-01-01")):
        session = table.session_at(ts)
        assert (session.is_open, session.is_known, session.trade_date) == (True, True, date)
        assert session.ts_open <= ts < session.ts_close
        assert session.ts_flat > midnight + 365 * DAY
    assert table.next_open(midnight - 1) == midnight
    assert table.trade_date(midnight) == "2026-03-09"


def test_a_table_out_of_order_is_refused():
    def table(opens, closes, days, zone="UTC"):
        return SessionTable("x", zone, opens, closes, days, {"UTC": UTC_OFFSETS}, (0, 100))

    assert len(table([1, 5], [5, 9], [0, 0])) == 2
    for opens, closes, days in (
        ([5], [5], [0]),
        ([1, 4], [5, 9], [0, 0]),
        ([1, 5], [5, 9], [1, 0]),
        ([1], [5, 9], [0]),
    ):
        with pytest.raises(InputError, match="calendar x"):
            table(opens, closes, days)
    with pytest.raises(InputError, match="no offsets for its zone"):
        table([1], [5], [0], "Mars/Olympus")


def test_a_calendar_that_is_not_shipped_is_refused_by_name():
    with pytest.raises(ConfigError, match="no calendar is named 'lse'; there are cme_index"):
        load("lse")
    with pytest.raises(ConfigError, match="cannot be read"):
        sessions.decode(b"junk")
    assert set(calendars()) == {*COMPILED, "crypto", "always_open"}


def test_the_shipped_table_is_what_the_reviewed_rules_say():
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "compile_sessions.py"), "--check"],
        check=False,
        env={"PYTHONPATH": str(ROOT / "src")},
    )

    assert done.returncode == 0, "run tools/compile_sessions.py"


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "calendar"),
    [
        ("open/futures/es_1m_2013-10_2013-11", "cme_index"),
        ("open/futures/gc_1m_2013-10", "comex_metal"),
        ("open/futures/6e_1m_2024-01-01_2024-01-24", "cme_fx"),
        ("open/futures/es_nq_1m_2024-07-01", "cme_index"),
        ("internal/futures/es_1m_2022-01-16_2022-01-28", "cme_index"),
        ("internal/futures/nq_1m_2022-01-16_2022-01-28", "cme_index"),
        ("internal/futures/es_5m_2021-12-05_2022-01-28", "cme_index"),
        ("open/etf/spy_1m_2019-12_2020-01", "us_equity"),
        ("open/etf/tlt_1m_2019-12_2020-01", "us_equity"),
    ],
)
def test_recorded_minutes_lie_in_open_sessions(name, calendar):
    path = RECORDINGS / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"no recording {name}")
    parquet = pytest.importorskip("pyarrow.parquet")
    stamps = parquet.read_table(path, columns=["ts_event"])["ts_event"].cast("int64").to_pylist()
    table = load(calendar)

    inside = sum(table.is_open(ts) for ts in stamps)

    assert inside >= 0.99 * len(stamps) > 0
