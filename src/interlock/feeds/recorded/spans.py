"""Where in a file the rows of the signal series stand: all of it, or the front month's part of each contract."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interlock.errors import InputError
from interlock.feeds.recorded.clean import numbers, text_of, times
from interlock.feeds.recorded.front import front_months, rule_of, trade_dates
from interlock.feeds.recorded.kinds import Contract, split_contract, whole_year
from interlock.feeds.recorded.source import Chunk, Ints, Source
from interlock.model.instrument import Instrument

Mask = npt.NDArray[np.bool_]

_NO_CONTRACT = Contract(0, 0)


class Span(NamedTuple):
    """Rows `first` to `last` of the file, or of those the ones of `code` on the trade dates `start` to `end`."""

    first: int
    last: int | None
    code: frozenset[str] = frozenset()
    start: int = 0
    end: int = 0

    def chunks(self, source: Source, wanted: list[str]) -> Iterator[tuple[Chunk, Mask | None]]:
        """The chunks it lies in, each with the rows that belong to it (None: all)."""
        if not self.code:
            for chunk in source.chunks(wanted, self.first, self.last):
                yield chunk, None
            return
        for chunk in source.chunks([*wanted, "contract"], self.first, self.last):
            names, codes = _contracts(chunk)
            is_ours = np.array([*(name in self.code for name in names), False], np.bool_)[codes]
            ts, valid = times(source.file, chunk.rows, chunk.columns["ts_event"])
            days = trade_dates(ts)
            yield chunk, is_ours & valid & (days >= self.start) & (days <= self.end)


class Plan(NamedTuple):
    """The spans in time order; the contracts in them, the rows left out by reason, and the rows without a contract."""

    spans: list[Span]
    contracts: list[str]
    left_out: dict[str, int]
    bad: list[int]


def plan_of(source: Source, instrument: Instrument, *, is_bars: bool) -> Plan:
    """Where the signal series stands. Reads the whole file once when it has a column `contract`.

    Raises InputError for a contract whose rows are not in time order, and when no row is of a front month.
    """
    if "contract" not in source.columns:
        return Plan([Span(1, None)], [], {}, [])
    survey = _Survey(source.file)
    size = "volume" if is_bars else "size"
    wanted = ["ts_event", "contract", *([size] if size in source.columns else [])]
    for chunk in source.chunks(wanted):
        survey.add(chunk, size)
    root = instrument.symbol if instrument.symbol in survey.roots else instrument.parent
    return survey.plan(instrument, root)


class _Survey:
    """What each contract of a file traded on each trade date, and where its rows stand."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.roots: dict[str, int] = {}
        self.bad: list[int] = []
        self._meaning: dict[str, tuple[str, Contract] | None] = {}
        self._last: dict[str, tuple[int, int]] = {}
        self._held: dict[tuple[str, Contract], dict[int, list[int]]] = {}       # by date: volume, rows, first, last
        self._spellings: dict[tuple[str, Contract], set[str]] = {}

    def add(self, chunk: Chunk, size: str) -> None:
        ts, valid = times(self.file, chunk.rows, chunk.columns["ts_event"])
        names, codes = _contracts(chunk)
        volume = numbers(chunk.columns[size])[0] if size in chunk.columns else np.ones(len(ts))
        volume = np.where(np.isfinite(volume) & (volume > 0), volume, 0.0)
        days = trade_dates(ts)
        for code, name in enumerate(names):
            where = np.flatnonzero((codes == code) & valid)
            if not len(where):
                continue
            meaning = self._mean(name, int(ts[where[0]]))
            if meaning is None:
                self.bad.extend(chunk.rows[where].tolist())
                continue
            self._check_order(name, chunk.rows[where], ts[where])
            self.roots[meaning[0]] = self.roots.get(meaning[0], 0) + len(where)
            self._spellings.setdefault(meaning, set()).add(name)
            held = self._held.setdefault(meaning, {})
            rows = chunk.rows[where]
            for day, first, last, traded, count in _by_day(days[where], rows, volume[where]):
                sums = held.setdefault(day, [0, 0, first, last])
                held[day] = [sums[0] + traded, sums[1] + count, min(sums[2], first), max(sums[3], last)]
        nameless = (codes == len(names)) | ~valid
        self.bad.extend(chunk.rows[nameless].tolist())

    def plan(self, instrument: Instrument, root: str) -> Plan:
        ours = {contract: held for (name, contract), held in self._held.items() if name == root}
        fronts: dict[int, Contract] = {}
        if ours:
            volumes = {(day, contract): sums[0] for contract, held in ours.items() for day, sums in held.items()}
            fronts = front_months(rule_of(instrument, self.file), volumes)
        spans: list[Span] = []
        contracts: list[str] = []
        taken, current = 0, _NO_CONTRACT
        for day, contract in fronts.items():
            sums = ours.get(contract, {}).get(day)
            if sums is None:
                current = _NO_CONTRACT
                continue
            taken += sums[1]
            if contract == current:
                before = spans[-1]
                first, last = min(before.first, sums[2]), max(before.last or 0, sums[3])
                spans[-1] = before._replace(first=first, last=last, end=day)
            else:
                code = frozenset(self._spellings[root, contract])
                spans.append(Span(sums[2], sums[3], code, day, day))
                contracts.append(contract.code(root))
                current = contract
        if not spans:
            held_codes = ", ".join(sorted({contract.code(name) for name, contract in self._held})) or "no contract"
            expected = ", ".join(contract.code(root) for contract in sorted(set(fronts.values()))) or f"one of {root}"
            raise InputError(f"{self.file}: no row of a front month of {instrument.symbol}: expected {expected}, "
                             f"found {held_codes}")
        total = sum(self.roots.values())
        left_out = {"not_front_month": self.roots[root] - taken, "other_instrument": total - self.roots[root]}
        return Plan(spans, list(dict.fromkeys(contracts)), {name: count for name, count in left_out.items() if count},
                    sorted(self.bad))

    def _mean(self, name: str, ts: int) -> tuple[str, Contract] | None:
        if name not in self._meaning:
            parts = split_contract(name.strip())
            if parts is not None:
                root, month, digits = parts
                year = whole_year(digits, int(text_of(ts)[:4]))
                self._meaning[name] = root, Contract(year, month)
            else:
                self._meaning[name] = None
        return self._meaning[name]

    def _check_order(self, name: str, rows: Ints, ts: Ints) -> None:
        before = np.concatenate(([self._last[name][0] if name in self._last else ts[0]], ts[:-1]))
        if (ts < before).any():
            at = int(np.argmax(ts < before))
            row_before = int(rows[at - 1]) if at else self._last[name][1]
            raise InputError(f"{self.file}: {name} is not in time order: row {rows[at]} ({text_of(int(ts[at]))}) comes "
                             f"after row {row_before} ({text_of(int(before[at]))})")
        self._last[name] = int(ts[-1]), int(rows[-1])


def _by_day(days: Ints, rows: Ints, volume: npt.NDArray[np.float64]) -> Iterator[tuple[int, int, int, int, int]]:
    """Per trade date: its day, first row, last row, volume and number of rows. The days are in order."""
    starts = np.flatnonzero(np.diff(days, prepend=days[0] - 1)).tolist()
    for start, end in zip(starts, [*starts[1:], len(days)], strict=True):
        yield int(days[start]), int(rows[start]), int(rows[end - 1]), int(volume[start:end].sum()), end - start


def _contracts(chunk: Chunk) -> tuple[list[str], Ints]:
    """The contract names of a chunk, and per row the index of its name; their number where there is none."""
    import pyarrow.compute as pc

    column: Any = chunk.columns["contract"]
    encoded = column if hasattr(column, "dictionary") else pc.dictionary_encode(column)
    names = [str(name) for name in encoded.dictionary.to_pylist()]
    codes = pc.fill_null(encoded.indices, len(names)).cast("int64").to_numpy(zero_copy_only=False)
    return names, codes
