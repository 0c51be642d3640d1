"""Rows judged one by one, columns at a time: what is kept becomes exact int64 increments, what is not has a reason.

A reason is the first of these that holds. Bad rows: `no_time`, `bad_contract`, `unparsable` (a cell or a whole line is
no number), `not_a_number` (a price or volume that is missing, NaN or infinite), `off_increment`, `outside_range` (open
or close outside low to high, or high below low), `negative_volume`, `no_size` (a trade of nothing), `suspicious`
(marked so by the source), `duplicate` (the start of a bar again), `overlap` (a bar that starts inside the one before).
Left out without being bad: `no_trade` (a row with quotes and no prices: nothing traded, so it is no bar),
`not_front_month` and `other_instrument` (rows of another contract, or another root, in a file that holds several).
"""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from interlock.errors import InputError
from interlock.feeds.recorded.kinds import CLOSING_QUOTE, PRICES
from interlock.feeds.recorded.source import Chunk, Ints
from interlock.model.instrument import Instrument
from interlock.model.money import Nanos

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

NOT_BAD: Final = frozenset({"no_trade", "not_front_month", "other_instrument"})
LISTED_MAX: Final = 20
_OFF_GRID: Final = 1e-6                 # of an increment
_EXACT_ABOVE: Final = 1e8               # increments from which a failed float check is repeated in decimals
_LARGEST: Final = 2.0**53
_EARLIEST: Final = 315_532_800 * 10**9  # 1980
_LATEST: Final = 4_102_444_800 * 10**9  # 2100


class BadRow(NamedTuple):
    """A dropped row: its number (the first row of data is 1) and why."""

    row: int
    reason: str


class Kept(NamedTuple):
    """Good rows. For trades `columns` holds price and size, for bars the prices, volume and closing quote."""

    rows: Ints
    ts: Ints
    columns: dict[str, Ints]


def text_of(ts: Nanos) -> str:
    """A time for a message, e.g. 2013-10-07T00:35:00Z."""
    seconds, rest = divmod(ts, 10**9)
    spelled = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{spelled}.{rest:09d}Z" if rest else f"{spelled}Z"


def times(file: str, rows: Ints, column: Any) -> tuple[Ints, Mask]:
    """ts_event as int64 nanoseconds UTC, and which rows have one.

    Times carry a zone, or are integers: nanoseconds. Raises InputError for a column that says neither.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = _times_of_text(file, rows, column)
    elif pa.types.is_timestamp(kind):
        if kind.tz is None:
            raise InputError(f"{file}: ts_event has no time zone; expected UTC")
        try:
            column = column.cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise InputError(f"{file}: ts_event is out of range: {error}") from error
    elif not pa.types.is_int64(kind):
        raise InputError(f"{file}: ts_event is {kind}; expected UTC times, or integers (nanoseconds)")
    valid: Mask = column.is_valid().to_numpy(zero_copy_only=False)
    ts: Ints = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
    out = valid & ((ts < _EARLIEST) | (ts >= _LATEST))
    if out.any():
        at = int(np.argmax(out))
        raise InputError(f"{file}: row {rows[at]}: ts_event {ts[at]} is no time of 1980 to 2100 in nanoseconds UTC")
    return ts, valid


def _times_of_text(file: str, rows: Ints, column: Any) -> Any:
    """Cell by cell only where the column as a whole is not of one spelling; None for what is no time."""
    import pyarrow as pa

    nanos, utc, local = pa.int64(), pa.timestamp("ns", tz="UTC"), pa.timestamp("ns")
    for kind in (nanos, utc):
        try:
            return column.cast(kind).cast(nanos)
        except pa.ArrowInvalid:
            continue

    def is_a(kind: Any, cell: str) -> bool:
        try:
            pa.scalar(cell).cast(kind)
        except pa.ArrowInvalid:
            return False
        return True

    found: list[int | None] = []
    for row, cell in zip(rows.tolist(), column.to_pylist(), strict=True):
        kind = None if cell is None else next((kind for kind in (nanos, utc) if is_a(kind, cell)), None)
        if kind is None and cell is not None and is_a(local, cell):
            raise InputError(f"{file}: row {row}: ts_event {cell!r} has no time zone; expected UTC, as in "
                             "2024-01-02T14:30:00Z, or integer nanoseconds")
        found.append(None if kind is None else pa.scalar(cell).cast(kind).cast(nanos).as_py())
    return pa.array(found, nanos)


def numbers(column: Any) -> tuple[Floats, Mask]:
    """A column as float64 (NaN where missing), and which cells are no number at all."""
    import pyarrow as pa

    none = np.zeros(len(column), np.bool_)
    try:
        return column.cast(pa.float64()).to_numpy(zero_copy_only=False), none
    except pa.ArrowInvalid:
        cells = column.to_pylist()
    except pa.ArrowNotImplementedError:
        return np.full(len(column), np.nan), ~none
    values = np.full(len(cells), np.nan)
    for i, cell in enumerate(cells):
        if cell is not None:
            try:
                values[i] = float(cell)
            except ValueError:
                none[i] = True
    return values, none


def increments(values: Floats, increment: Decimal) -> tuple[Ints, Mask]:
    """Prices as increments, and which of them lie on the grid (to 1e-6 of an increment). NaN counts as on it, as 0.

    The quotient of two float64 next to the decimals they stand for is off by far less than half an increment, so the
    nearest integer is the exact one.
    """
    scaled = values / float(increment)
    known = np.abs(scaled) < _LARGEST
    steps = np.rint(np.where(known, scaled, 0.0))
    is_on = known & (np.abs(scaled - steps) <= _OFF_GRID)
    for i in np.flatnonzero(known & ~is_on & (np.abs(scaled) > _EXACT_ABOVE)).tolist():
        exact = Decimal(repr(float(values[i]))) / increment
        is_on[i] = abs(exact - exact.to_integral_value()) <= Decimal(repr(_OFF_GRID))
    return steps.astype(np.int64), is_on | np.isnan(values)


def lots(values: Floats, lot: Decimal) -> Ints:
    """Sizes in whole lots, the rest cut off; 0 where not known."""
    scaled = np.floor(values / float(lot) + _OFF_GRID)
    return np.where(np.abs(scaled) < _LARGEST, scaled, 0.0).astype(np.int64)


class Cleaner:
    """Judges the chunks of one file in order. It remembers only the last row of order and the last kept bar."""

    def __init__(self, file: str, instrument: Instrument, *, timeframe: Nanos) -> None:
        self.file = file
        self.instrument = instrument
        self.timeframe = timeframe             # 0: trades
        self.dropped: Counter[str] = Counter()
        self.listed: list[BadRow] = []
        self.seen = 0
        self._last_ts: Nanos = -1
        self._last_row = 0
        self._last_kept: Nanos = -1

    @property
    def bad(self) -> int:
        """How many rows were dropped as bad."""
        return sum(count for reason, count in self.dropped.items() if reason not in NOT_BAD)

    def drop(self, rows: list[int], reason: str) -> None:
        """Count bad rows that never became part of a chunk."""
        self.seen += len(rows)
        self.dropped[reason] += len(rows)
        self.listed = sorted([*self.listed, *(BadRow(row, reason) for row in rows[:LISTED_MAX])])[:LISTED_MAX]

    def clean(self, chunk: Chunk, among: Mask | None = None) -> Kept:
        """The good rows of a chunk, of those `among`. Raises InputError when rows are not in time order."""
        if among is not None:
            import pyarrow as pa

            chunk = Chunk(chunk.rows[among], {name: column.filter(pa.array(among))
                                              for name, column in chunk.columns.items()})
        ts, valid = times(self.file, chunk.rows, chunk.columns["ts_event"])
        self._check_order(chunk.rows, ts, valid)
        self.seen += len(chunk.rows)
        judged = _Judged(len(ts))
        judged.fail(~valid, "no_time")
        columns = self._bars(chunk, judged) if self.timeframe else self._trades(chunk, judged)
        if self.timeframe:
            self._check_spacing(ts, judged)
        self._count([BadRow(int(chunk.rows[i]), judged.reasons[judged.code[i] - 1])
                     for i in np.flatnonzero(judged.code).tolist()])
        good = judged.code == 0
        return Kept(chunk.rows[good], ts[good], {name: values[good] for name, values in columns.items()})

    def _bars(self, chunk: Chunk, judged: "_Judged") -> dict[str, Ints]:
        floats: dict[str, Floats] = {}
        broken = np.zeros(len(chunk.rows), np.bool_)
        names = [*PRICES, "volume", *(name for name in CLOSING_QUOTE if name in chunk.columns)]
        for name in names:
            floats[name], wrong = numbers(chunk.columns[name])
            broken |= wrong
        judged.fail(broken, "unparsable")
        missing = [np.isnan(floats[name]) for name in PRICES]
        if "bid" in floats:
            no_trade = np.logical_and.reduce(missing) & ~(np.isnan(floats["bid"]) & np.isnan(floats["ask"]))
            judged.fail(no_trade, "no_trade")
        judged.fail(~np.logical_and.reduce([np.isfinite(floats[name]) for name in (*PRICES, "volume")]), "not_a_number")
        columns: dict[str, Ints] = {}
        for name in (*PRICES, *(name for name in ("bid", "ask") if name in floats)):
            columns[name], is_on = increments(floats[name], self.instrument.increment)
            judged.fail(~is_on, "off_increment")
        low, high = columns["low"], columns["high"]
        least, most = np.minimum(columns["open"], columns["close"]), np.maximum(columns["open"], columns["close"])
        judged.fail((least < low) | (most > high), "outside_range")
        judged.fail(floats["volume"] < 0, "negative_volume")
        columns["volume"] = lots(floats["volume"], self.instrument.lot)
        if all(name in floats for name in CLOSING_QUOTE):
            for side in ("bid", "ask"):
                size = np.maximum(lots(floats[f"{side}_size"], self.instrument.lot), 0)
                columns[f"{side}_size"] = np.where(np.isnan(floats[side]), 0, size)
        else:
            for name in CLOSING_QUOTE:
                columns[name] = np.zeros(len(low), np.int64)
        return columns

    def _trades(self, chunk: Chunk, judged: "_Judged") -> dict[str, Ints]:
        price, broken = numbers(chunk.columns["price"])
        size = np.full(len(price), float(self.instrument.lot))      # a print that does not tell its size is one lot
        if "size" in chunk.columns:
            size, wrong = numbers(chunk.columns["size"])
            broken = broken | wrong
        judged.fail(broken, "unparsable")
        judged.fail(~(np.isfinite(price) & np.isfinite(size)), "not_a_number")
        steps, is_on = increments(price, self.instrument.increment)
        judged.fail(~is_on, "off_increment")
        judged.fail(size <= 0, "no_size")
        if "suspicious" in chunk.columns:
            marked = chunk.columns["suspicious"].to_pylist()
            judged.fail(np.array([str(cell).lower() in ("true", "1") for cell in marked], np.bool_), "suspicious")
        return {"price": steps, "size": lots(size, self.instrument.lot)}

    def _check_order(self, rows: Ints, ts: Ints, valid: Mask) -> None:
        rows, ts = rows[valid], ts[valid]
        if not len(ts):
            return
        before = np.concatenate(([self._last_ts], ts[:-1]))
        if (ts < before).any():
            at = int(np.argmax(ts < before))
            row_before = int(rows[at - 1]) if at else self._last_row
            raise InputError(f"{self.file}: not in time order: row {rows[at]} ({text_of(int(ts[at]))}) comes after "
                             f"row {row_before} ({text_of(int(before[at]))})")
        self._last_ts, self._last_row = int(ts[-1]), int(rows[-1])

    def _check_spacing(self, ts: Ints, judged: "_Judged") -> None:
        """Bars must not start again, nor inside the last kept one."""
        good = np.flatnonzero(judged.code == 0)
        if not len(good):
            return
        starts = ts[good]
        if (np.diff(starts, prepend=self._last_kept if self._last_kept >= 0 else starts[0] - self.timeframe)
                < self.timeframe).any():
            twice, inside = np.zeros(len(ts), np.bool_), np.zeros(len(ts), np.bool_)
            last = self._last_kept
            for i, start in zip(good.tolist(), starts.tolist(), strict=True):
                if last >= 0 and start < last + self.timeframe:
                    (twice if start == last else inside)[i] = True
                else:
                    last = start
            judged.fail(twice, "duplicate")
            judged.fail(inside, "overlap")
            self._last_kept = last
        else:
            self._last_kept = int(starts[-1])

    def _count(self, rows: list[BadRow]) -> None:
        for bad in rows:
            self.dropped[bad.reason] += 1
            if bad.reason not in NOT_BAD and len(self.listed) < LISTED_MAX:
                self.listed.append(bad)


class _Judged:
    """The first reason that holds, per row: 0 is good, n is the n-th reason."""

    def __init__(self, count: int) -> None:
        self.code: npt.NDArray[np.int8] = np.zeros(count, np.int8)
        self.reasons: list[str] = []

    def fail(self, where: Mask, reason: str) -> None:
        if reason not in self.reasons:
            self.reasons.append(reason)
        self.code[where & (self.code == 0)] = self.reasons.index(reason) + 1


