"""One recorded file: judged from end to end before the first message leaves, then read again as it is played."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge as merge_sorted
from itertools import chain, repeat
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np

from interlock.errors import InputError
from interlock.feeds.bars import BarBuilder
from interlock.feeds.recorded.clean import BadRow, Cleaner, Kept, times
from interlock.feeds.recorded.kinds import CLOSING_QUOTE, PRICES, instrument_of, is_bars, refuse_kind
from interlock.feeds.recorded.source import Source, open_source
from interlock.feeds.recorded.spans import Plan, plan_of
from interlock.model.instrument import Instrument
from interlock.model.market import TIMEFRAMES, Bar, Provenance, Quality, Trade
from interlock.model.money import DAY, MINUTE, SECOND, Nanos

Keyed = tuple[Nanos, str, int, int, Bar | Trade]

BAD_SHARE_MAX: Final = 0.01
_SAMPLE: Final = 10_000                # rows that tell the length of a bar
_LENGTHS: Final = tuple(s * SECOND for s in (1, 5, 10, 15, 30)) + tuple(
    m * MINUTE for m in (1, 2, 3, 5, 10, 15, 30, 60, 120, 240))


class Recording:
    """A file that can be played, and what became of its rows.

    Attributes:
        source: how messages name it: the file's name.
        path, digest: where it is, and the SHA-256 of its bytes.
        instrument: what it holds; contracts: the front months played, if it tells contracts apart.
        kind, timeframe: "bars" or "trades"; the length of a bar (of trades: of the bars built from them).
        rows, kept: rows of the file, and of those the ones that are played.
        dropped, listed: rows left out by reason, and the first bad ones.
        ts_first, ts_last: ts_event of the first and last kept row.
    """

    def __init__(self, source: Source, instrument: Instrument, plan: Plan, timeframe: Nanos) -> None:
        """`timeframe` 0 stands for trades."""
        self._source = source
        self._plan = plan
        self._spacing = timeframe
        self._wanted = _wanted(source.columns, is_bars=timeframe > 0)
        self.path = Path(source.file)
        self.source = self.path.name
        self.digest = source.digest
        self.instrument = instrument
        self.contracts: Sequence[str] = tuple(plan.contracts)
        self.kind = "bars" if timeframe else "trades"
        self.timeframe = timeframe or MINUTE
        cleaner = self._cleaner()
        self.kept = 0
        self.ts_first: Nanos = 0
        self.ts_last: Nanos = 0
        for kept in self._read(cleaner):
            if not self.kept:
                self.ts_first = int(kept.ts[0])
            self.kept += len(kept.ts)
            self.ts_last = int(kept.ts[-1])
        cleaner.drop(plan.bad, "bad_contract")
        cleaner.drop(source.broken_rows, "unparsable")
        self.dropped: dict[str, int] = {**{k: n for k, n in cleaner.dropped.items() if n}, **plan.left_out}
        self.listed: Sequence[BadRow] = tuple(cleaner.listed)
        self.bad = cleaner.bad
        self.judged = cleaner.seen
        self.rows = cleaner.seen + sum(plan.left_out.values())

    def bars(self) -> Iterator[Bar]:
        """The bars in time order, each to be delivered at its `ts_known`."""
        return (message for message in self.messages() if isinstance(message, Bar))

    def messages(self) -> Iterator[Bar | Trade]:
        """Bars, or trades with the bars they make, in the order in which they became known."""
        return chain.from_iterable(messages for messages, _, _ in self._parts())

    def keyed(self, order: int = 0) -> Iterator[Keyed]:
        """Messages under their place in a merged feed: (ts_known, instrument, row, order)."""
        symbol = self.instrument.symbol
        for messages, known, rows in self._parts():
            yield from zip(known, repeat(symbol), rows, repeat(order), messages)

    def _parts(self) -> Iterator[tuple[Iterable[Bar | Trade], list[Nanos], list[int]]]:
        """Chunk by chunk: messages, when each became known, and the row it stems from (a built bar: its last)."""
        return self._bars() if self._spacing else self._trades()

    def _cleaner(self) -> Cleaner:
        return Cleaner(self._source.file, self.instrument, timeframe=self._spacing)

    def _read(self, cleaner: Cleaner) -> Iterator[Kept]:
        for span in self._plan.spans:
            for chunk, among in span.chunks(self._source, self._wanted):
                kept = cleaner.clean(chunk, among)
                if len(kept.ts):
                    yield kept

    def _bars(self) -> Iterator[tuple[Iterator[Bar], list[Nanos], list[int]]]:
        symbol, timeframe = self.instrument.symbol, self._spacing
        for kept in self._read(self._cleaner()):
            columns = {name: values.tolist() for name, values in kept.columns.items()}
            bars = map(Bar, repeat(symbol), repeat(timeframe), *(columns[name] for name in (*PRICES, "volume")),
                       kept.ts.tolist(), (kept.ts + timeframe).tolist(), repeat(Provenance.PLAYBACK),
                       repeat(Quality.OK), *(columns[name] for name in CLOSING_QUOTE))
            yield bars, (kept.ts + timeframe).tolist(), kept.rows.tolist()

    def _trades(self) -> Iterator[tuple[list[Bar | Trade], list[Nanos], list[int]]]:
        symbol = self.instrument.symbol
        builder = BarBuilder(symbol, Provenance.PLAYBACK, self.timeframe)
        last = 0
        for kept in self._read(self._cleaner()):
            messages: list[Bar | Trade] = []
            known: list[Nanos] = []
            rows: list[int] = []
            columns = kept.columns
            for row, ts, price, size in zip(kept.rows.tolist(), kept.ts.tolist(), columns["price"].tolist(),
                                            columns["size"].tolist(), strict=True):
                bar = builder.add(ts, price, size)
                if bar is not None:
                    messages.append(bar)
                    known.append(bar.ts_known)
                    rows.append(last)
                messages.append(Trade(symbol, price, size, ts, ts, Provenance.PLAYBACK))
                known.append(ts)
                rows.append(row)
                last = row
            yield messages, known, rows
        bar = builder.finish(self.ts_last + self.timeframe)
        if bar is not None:
            yield [bar], [bar.ts_known], [last]


def open_recording(path: str | Path, *, symbol: str | None = None, instruments: Mapping[str, Instrument],
                   allow_bad: bool = False) -> Recording:
    """Open one file of bars or trades, Parquet or CSV, and judge all of its rows.

    The instrument is `symbol`, else the first word of the file's `instrument` metadata, defined in `instruments`.
    Raises InputError for a file that is missing, damaged, of another kind or not in time order, and for one of which
    more than one row in a hundred is bad (never for that alone with `allow_bad`).
    """
    source = open_source(Path(path))
    name = source.metadata.get("instrument", "")
    refuse_kind(source.file, name, source.columns)
    instrument = instrument_of(source.file, name, symbol, instruments)
    has_bars = is_bars(source.file, source.columns)
    plan = plan_of(source, instrument, is_bars=has_bars)
    timeframe = _timeframe(source, plan) if has_bars else 0
    recording = Recording(source, instrument, plan, timeframe)
    _judge(recording, allow_bad=allow_bad)
    return recording


def merge(recordings: Sequence[Recording]) -> Iterator[Bar | Trade]:
    """All messages in the order (ts_known, instrument, row), read as they are asked for; equals go by recording."""
    if len(recordings) == 1:
        return recordings[0].messages()
    streams = [recording.keyed(order) for order, recording in enumerate(recordings)]
    return map(_message, merge_sorted(*streams))


def _judge(recording: Recording, *, allow_bad: bool) -> None:
    file, bad = recording.path, recording.bad
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(recording.dropped.items())) or "none dropped"
    if not recording.kept:
        raise InputError(f"{file}: no usable row among {recording.rows} ({reasons})")
    if bad > BAD_SHARE_MAX * recording.judged and not allow_bad:
        listed = "; ".join(f"row {row}: {reason}" for row, reason in recording.listed)
        raise InputError(f"{file}: {bad} of {recording.judged} rows are bad, more than 1 % ({reasons}; {listed}); "
                         "allow it with --allow-bad")


def _wanted(columns: Sequence[str], *, is_bars: bool) -> list[str]:
    names = ("ts_event", *PRICES, "volume", *CLOSING_QUOTE) if is_bars else ("ts_event", "price", "size", "suspicious")
    return [name for name in names if name in columns]


def _timeframe(source: Source, plan: Plan) -> Nanos:
    """The commonest distance between the starts of two of the first rows, the shorter one of two equals.

    A file of a single row tells it by its `timeframe` metadata. Raises InputError for days and for odd lengths.
    """
    starts: list[Nanos] = []
    for chunk, among in plan.spans[0].chunks(source, ["ts_event"]):
        ts, valid = times(source.file, chunk.rows, chunk.columns["ts_event"])
        starts.extend(ts[valid if among is None else valid & among].tolist())
        if len(starts) >= _SAMPLE:
            break
    gaps = np.diff(np.asarray(starts[:_SAMPLE], np.int64))
    lengths, counts = np.unique(gaps[gaps > 0], return_counts=True)
    found = int(lengths[np.argmax(counts)]) if len(lengths) else 0
    word = source.metadata.get("timeframe", "").split(" ")[0]
    if not found:
        found = TIMEFRAMES.get(word, 0)
    if not found:
        if len(starts) > 1:
            raise InputError(f"{source.file}: row 2 is not later than row 1; expected rows in time order, oldest first")
        raise InputError(f"{source.file}: the length of its bars cannot be told from a single row")
    if found >= DAY:
        raise InputError(f"{source.file}: daily bars; expected bars of at most 4 hours, or trades")
    if found not in _LENGTHS:
        raise InputError(f"{source.file}: its bars start {found / SECOND:g} s apart; expected one of "
                         f"{', '.join(f'{length // SECOND}' for length in _LENGTHS)} s")
    return found


_message: Any = itemgetter(4)
