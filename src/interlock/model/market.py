"""The market as it was reported: prices in int64 data increments, times in nanoseconds UTC, provenance always named."""

from enum import IntEnum
from typing import Final

from msgspec import Struct

from interlock.errors import InputError
from interlock.model.money import Nanos


class Provenance(IntEnum):
    """Where a price came from; set by its feed, never by anybody else."""

    SIMULATED = 0
    PLAYBACK = 1
    LIVE = 2


class Quality(IntEnum):
    """How far a value can be trusted. Only OK, and SYNTH where it is said so, may be decided upon."""

    OK = 0
    SYNTH = 1
    STALE = 2
    WARMUP = 3
    MISSING = 4


class Quote(Struct, frozen=True, tag="quote"):
    """Best bid and offer. Prices in data increments; sizes in lots; a side without an offer has size 0."""

    instrument: str
    bid: int
    ask: int
    bid_size: int
    ask_size: int
    ts_event: Nanos
    ts_recv: Nanos
    provenance: Provenance
    quality: Quality = Quality.OK
    fresh_until: Nanos = 0             # playback of bars: fresh until the next bar is due; 0 = by age alone

    def __post_init__(self) -> None:
        if self.bid_size < 0 or self.ask_size < 0:
            raise InputError(f"{self.instrument}: negative quote size {self.bid_size} x {self.ask_size}")


class Trade(Struct, frozen=True, tag="trade"):
    """One print. `aggressor` is 1 for a buyer, -1 for a seller, 0 where it is not known."""

    instrument: str
    price: int
    size: int
    ts_event: Nanos
    ts_recv: Nanos
    provenance: Provenance
    aggressor: int = 0


class MarketState(Struct, frozen=True, tag="market_state"):
    """Whether an instrument can be traded now; unknown counts as closed."""

    instrument: str
    is_open: bool
    is_halted: bool
    ts_event: Nanos
    ts_recv: Nanos


class Proof(Struct, frozen=True, tag="proof"):
    """A broker's user stream proved itself alive: an event or an answered ping in unbroken sequence."""

    account: str
    sequence: int
    ts_recv: Nanos                     # when it was asked for, where it was asked for
    ts_event: Nanos = 0                # the venue's own time of its answer; 0: it does not say


class Bar(Struct, frozen=True, tag="bar"):
    """One finished bar, labelled by its open: covers [ts_event, ts_event + timeframe) and is known at `ts_known`."""

    instrument: str
    timeframe: Nanos
    open: int
    high: int
    low: int
    close: int
    volume: int
    ts_event: Nanos
    ts_known: Nanos
    provenance: Provenance
    quality: Quality = Quality.OK
    bid: int = 0                       # the closing quote where the source has one, else 0 with size 0
    ask: int = 0
    bid_size: int = 0
    ask_size: int = 0

    def __post_init__(self) -> None:
        if not (self.low <= self.open <= self.high and self.low <= self.close <= self.high):
            raise InputError(
                f"{self.instrument}: bar at {self.ts_event} has open {self.open} or close {self.close} "
                f"outside low {self.low} to high {self.high}")
        if self.volume < 0:
            raise InputError(f"{self.instrument}: bar at {self.ts_event} has negative volume {self.volume}")


TIMEFRAMES: Final[dict[str, Nanos]] = {
    "1s": 1_000_000_000, "1m": 60_000_000_000, "5m": 300_000_000_000, "15m": 900_000_000_000,
    "1h": 3_600_000_000_000, "4h": 14_400_000_000_000, "1d": 86_400_000_000_000,
}
"""The names of the bar lengths, in nanoseconds."""
