"""The quote that a recorded bar implies: playback has bars, the gate wants a bid and an offer."""

from typing import Final

from interlock.model.instrument import Instrument
from interlock.model.market import Bar, Quality, Quote
from interlock.model.money import SECOND, Nanos

GRACE: Final[Nanos] = 3 * SECOND
"""How long after the next bar is due the quote of this one still counts as fresh."""


def quote_of(bar: Bar, instrument: Instrument) -> Quote:
    """The quote of quality SYNTH that stands from the moment the bar is known until the next one is due, plus GRACE.

    The bar's own closing quote where it has one: both sizes above zero, bid positive and not above the ask; widened to
    the order tick where it lies between ticks. Otherwise `spread_ticks` (at least one) around the close, on the order
    tick: the bid is the tick at or below the close, less half the spread rounded down; the ask the bid plus the spread.
    """
    tick = instrument.tick_increments
    if bar.bid_size > 0 and bar.ask_size > 0 and 0 < bar.bid <= bar.ask:
        bid, ask = bar.bid - bar.bid % tick, bar.ask + -bar.ask % tick
        bid_size, ask_size = bar.bid_size, bar.ask_size
    else:
        spread = max(1, instrument.spread_ticks)
        bid = bar.close - bar.close % tick - spread // 2 * tick
        ask = bid + spread * tick
        bid_size = ask_size = instrument.quote_size
    return Quote(bar.instrument, bid, ask, bid_size, ask_size, bar.ts_known, bar.ts_known, bar.provenance,
                 Quality.SYNTH, bar.ts_known + bar.timeframe + GRACE)
