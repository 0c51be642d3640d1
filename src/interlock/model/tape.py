"""Market messages as flat 64-byte rows, in the order in which they were delivered: the tape that the journal names."""

import struct
from collections.abc import Iterator
from typing import Final, TypeAlias

from interlock.errors import JournalDamaged
from interlock.model.market import MarketState, Proof, Provenance, Quality, Quote, Trade

MarketMessage: TypeAlias = Quote | Trade | MarketState | Proof

_ROW: Final = struct.Struct("<BBBB12sqqqqqq")
ROW_SIZE: Final = _ROW.size
_QUOTE, _TRADE, _STATE, _PROOF = 1, 2, 3, 4


def pack(message: MarketMessage) -> bytes:
    """One row of ROW_SIZE bytes. A symbol or account name longer than 12 bytes is refused by configuration."""
    match message:
        case Quote():
            return _ROW.pack(_QUOTE, message.provenance, message.quality, 1 if message.fresh_until else 0,
                             message.instrument.encode(), message.ts_event, message.ts_recv, message.bid, message.ask,
                             message.bid_size, message.ask_size)
        case Trade():
            return _ROW.pack(_TRADE, message.provenance, message.aggressor + 1, 0, message.instrument.encode(),
                             message.ts_event, message.ts_recv, message.price, message.size, 0, 0)
        case MarketState():
            return _ROW.pack(_STATE, message.is_open, message.is_halted, 0, message.instrument.encode(),
                             message.ts_event, message.ts_recv, 0, 0, 0, 0)
        case Proof():
            return _ROW.pack(_PROOF, 0, 0, 0, message.account.encode(), message.ts_event, message.ts_recv,
                             message.sequence, 0, 0, 0)


def unpack(rows: bytes) -> Iterator[MarketMessage]:
    """The messages of so many whole rows. Raises JournalDamaged for a broken row."""
    if len(rows) % ROW_SIZE:
        raise JournalDamaged(f"tape: {len(rows)} bytes are no whole number of rows")
    for kind, a, b, _, name, ts_event, ts_recv, p, q, r, s in _ROW.iter_unpack(rows):
        text = name.rstrip(b"\0").decode()
        if kind == _QUOTE:
            yield Quote(text, p, q, r, s, ts_event, ts_recv, Provenance(a), Quality(b))
        elif kind == _TRADE:
            yield Trade(text, p, q, ts_event, ts_recv, Provenance(a), b - 1)
        elif kind == _STATE:
            yield MarketState(text, bool(a), bool(b), ts_event, ts_recv)
        elif kind == _PROOF:
            yield Proof(text, p, ts_recv, ts_event)
        else:
            raise JournalDamaged(f"tape: unknown kind of row {kind}")
