"""What guards ask about the past: the record of a source, and what was entered and stopped out in an underlying."""

from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Struct

from interlock.model.account import ClosedTrade
from interlock.model.ids import AccountName
from interlock.model.money import Nanos
from interlock.model.signal import Purpose, Source
from interlock.model.verdict import Cleared, Verdict
from interlock.model.view import Memory, SourceRecord

TRADES: Final = 20
FILLS: Final = 10
EVENTS: Final = 32
KEYS: Final = 64


class _Underlying(Struct):
    stop_outs: list[tuple[str, Nanos]] = []
    entries: list[tuple[str, Nanos]] = []
    trade_date: str = ""
    today: dict[str, int] = {}
    keys: list[str] = []


class _Source(Struct):
    r_multiples: list[Decimal] = []
    slippage: list[Decimal] = []
    ts_last: Nanos | None = None


class _State(Struct):
    underlyings: dict[str, _Underlying] = {}       # by "account|underlying"
    sources: dict[str, _Source] = {}               # by "account|source"


class Past:
    """Folded from cleared verdicts, entry fills and closed trades; bounded."""

    def __init__(self) -> None:
        self._state = _State()
        self._records: dict[str, SourceRecord] = {}    # made once, until they change
        self.version = 0                               # moves with every record

    def on_verdict(self, verdict: Verdict, ts: Nanos) -> None:
        intent, view = verdict.asked.intent, verdict.view
        if intent.purpose is not Purpose.ENTER or not isinstance(verdict.result, Cleared):
            return
        under = self._underlying(verdict.account, view.instrument.parent)
        side, date = intent.side.value, view.session.trade_date
        if under.trade_date != date:
            under.trade_date, under.today = date, {}
        under.today[side] = under.today.get(side, 0) + 1
        _keep(under.entries, (side, ts), EVENTS)
        if view.signal_key:
            _keep(under.keys, view.signal_key, KEYS)

    def on_entry_fill(self, account: AccountName, source: Source, slippage: Decimal) -> None:
        """`slippage` in ticks against the price the decision was made at, adverse positive."""
        _keep(self._source(account, source).slippage, slippage, FILLS)
        self._forget(account, source)

    def on_closed(self, trade: ClosedTrade, underlying: str) -> None:
        if trade.is_stop_out:
            _keep(self._underlying(trade.account, underlying).stop_outs, (trade.side.value, trade.ts_closed), EVENTS)
        if trade.source is not None:
            source = self._source(trade.account, trade.source)
            _keep(source.r_multiples, trade.r_multiple, TRADES)
            source.ts_last = trade.ts_closed
            self._forget(trade.account, trade.source)

    def record(self, account: AccountName, source: Source) -> SourceRecord:
        key = f"{account}|{source.value}"
        record = self._records.get(key)
        if record is None:
            found = self._state.sources.get(key, _Source())
            record = self._records[key] = SourceRecord(r_multiples=tuple(found.r_multiples), slippage=tuple(found.slippage),
                                                       ts_last=found.ts_last)
        return record

    def memory(self, account: AccountName, underlying: str, trade_date: str) -> Memory:
        found = self._state.underlyings.get(f"{account}|{underlying}", _Underlying())
        today = tuple(found.today.items()) if found.trade_date == trade_date else ()
        return Memory(ts_stop_outs=tuple(found.stop_outs), ts_entries=tuple(found.entries), entries_today=today,
                      signal_keys=tuple(found.keys))

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self._state)

    def restore(self, body: bytes) -> None:
        self._state, self._records = msgspec.msgpack.decode(body, type=_State), {}
        self.version += 1

    def _forget(self, account: AccountName, source: Source) -> None:
        self._records.pop(f"{account}|{source.value}", None)
        self.version += 1

    def _underlying(self, account: AccountName, underlying: str) -> _Underlying:
        return self._state.underlyings.setdefault(f"{account}|{underlying}", _Underlying())

    def _source(self, account: AccountName, source: Source) -> _Source:
        return self._state.sources.setdefault(f"{account}|{source.value}", _Source())


def _keep(events: list, event: object, limit: int) -> None:  # type: ignore[type-arg]
    events.append(event)
    if len(events) > limit:
        del events[0]
