"""What is traded, and the only place where a price and its integer grid meet.

An instrument has a data increment (the finest step its prices are reported in) and an order tick. Market messages hold
int64 increments; orders, fills and cash hold Decimal. A price off the grid is refused, never rounded; rounding an order
price is always a named policy.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import Enum
from typing import Final

from msgspec import Struct

from interlock.errors import InputError


class Kind(Enum):
    FUTURE = "future"
    SHARE = "share"
    CRYPTO = "crypto"


class Instrument(Struct, frozen=True, kw_only=True):
    """One tradable instrument. Money per point is `multiplier`; `fee` is per side and contract (or share)."""

    symbol: str
    exchange: str
    kind: Kind
    increment: Decimal
    tick: Decimal
    multiplier: Decimal
    lot: Decimal = Decimal(1)
    currency: str = "USD"
    calendar: str
    parent: str                        # what it moves with: ES for MES
    micro: str | None = None           # the smaller contract that sizing may fall back to
    fee: Decimal = Decimal(0)
    spread_ticks: int = 1              # of the quote that a bare bar implies
    quote_size: int = 50               # of the quote that a bare bar implies
    group: str = ""                    # what counts as the same direction of risk
    fee_rate: Decimal = Decimal(0)     # per side, as a share of the traded value (crypto)
    is_spot: bool = False              # owned outright: cannot be sold short

    def __post_init__(self) -> None:
        for name in ("increment", "tick", "multiplier", "lot"):
            value = getattr(self, name)
            if not (value.is_finite() and value > 0):
                raise InputError(f"{self.symbol}: {name} must be a positive number, found {value}")
        if self.tick % self.increment:
            raise InputError(f"{self.symbol}: the order tick {self.tick} is no multiple of the increment {self.increment}")

    @property
    def tick_increments(self) -> int:
        """How many data increments one order tick has."""
        return int(self.tick / self.increment)

    def increments(self, price: Decimal) -> int:
        """The price as int64 data increments. Raises InputError when it is off the grid by more than 1e-6 increment."""
        steps = price / self.increment
        nearest = steps.to_integral_value(ROUND_HALF_EVEN)
        if abs(steps - nearest) > Decimal("1e-6"):
            raise InputError(f"{self.symbol}: price {price} is off the grid of {self.increment}")
        return int(nearest)

    def price(self, increments: int) -> Decimal:
        """The exact price of so many data increments."""
        return self.increment * increments

    def below(self, price: Decimal | float) -> Decimal:
        """The nearest order tick at or below `price`."""
        return self._to_tick(price, ROUND_FLOOR)

    def above(self, price: Decimal | float) -> Decimal:
        """The nearest order tick at or above `price`."""
        return self._to_tick(price, ROUND_CEILING)

    def nearest(self, price: Decimal | float) -> Decimal:
        """The nearest order tick, ties to even."""
        return self._to_tick(price, ROUND_HALF_EVEN)

    def is_on_tick(self, price: Decimal) -> bool:
        return price.is_finite() and price % self.tick == 0

    def is_on_lot(self, quantity: Decimal) -> bool:
        return quantity.is_finite() and quantity > 0 and quantity % self.lot == 0

    def _to_tick(self, price: Decimal | float, rounding: str) -> Decimal:
        exact = price if isinstance(price, Decimal) else Decimal(repr(float(price)))
        if not exact.is_finite():
            raise InputError(f"{self.symbol}: {price} is not a price")
        return (exact / self.tick).to_integral_value(rounding) * self.tick


def _future(symbol: str, exchange: str, calendar: str, tick: str, point: str, parent: str, group: str, fee: str,
            micro: str | None = None, spread_ticks: int = 1) -> Instrument:
    return Instrument(symbol=symbol, exchange=exchange, kind=Kind.FUTURE, increment=Decimal(tick), tick=Decimal(tick),
                      multiplier=Decimal(point), calendar=calendar, parent=parent, micro=micro, fee=Decimal(fee),
                      group=group, spread_ticks=spread_ticks)


def _share(symbol: str) -> Instrument:
    return Instrument(symbol=symbol, exchange="XNYS", kind=Kind.SHARE, increment=Decimal("0.0001"), tick=Decimal("0.01"),
                      multiplier=Decimal(1), calendar="us_equity", parent=symbol, fee=Decimal("0.005"), quote_size=500,
                      group="index" if symbol in ("SPY", "QQQ", "IWM", "DIA") else symbol)


def _crypto(symbol: str, lot: str) -> Instrument:
    return Instrument(symbol=symbol, exchange="PAPER", kind=Kind.CRYPTO, increment=Decimal("0.01"), tick=Decimal("0.01"),
                      multiplier=Decimal(1), lot=Decimal(lot), calendar="crypto", parent=symbol[:3], quote_size=100_000,
                      group="crypto", currency="USD", is_spot=True)


INSTRUMENTS: Final[dict[str, Instrument]] = {instrument.symbol: instrument for instrument in (
    _future("ES", "CME", "cme_index", "0.25", "50", "ES", "index", "2.50", micro="MES"),
    _future("MES", "CME", "cme_index", "0.25", "5", "ES", "index", "0.62"),
    _future("NQ", "CME", "cme_index", "0.25", "20", "NQ", "index", "2.50", micro="MNQ"),
    _future("MNQ", "CME", "cme_index", "0.25", "2", "NQ", "index", "0.62"),
    _future("YM", "CBOT", "cme_index", "1", "5", "YM", "index", "2.50", micro="MYM"),
    _future("MYM", "CBOT", "cme_index", "1", "0.5", "YM", "index", "0.62"),
    _future("RTY", "CME", "cme_index", "0.10", "50", "RTY", "index", "2.50", micro="M2K"),
    _future("M2K", "CME", "cme_index", "0.10", "5", "RTY", "index", "0.62"),
    _future("CL", "NYMEX", "nymex_energy", "0.01", "1000", "CL", "CL", "2.50", micro="MCL"),
    _future("MCL", "NYMEX", "nymex_energy", "0.01", "100", "CL", "CL", "0.90"),
    _future("GC", "COMEX", "comex_metal", "0.10", "100", "GC", "GC", "2.50", micro="MGC"),
    _future("MGC", "COMEX", "comex_metal", "0.10", "10", "GC", "GC", "0.90"),
    _future("6E", "CME", "cme_fx", "0.00005", "125000", "6E", "6E", "2.50"),
    *(_share(symbol) for symbol in ("SPY", "QQQ", "IWM", "DIA", "GLD", "SLV", "TLT", "IEF", "UNG", "USO", "VXX")),
    _crypto("BTCUSD", "0.0001"), _crypto("BTCUSDT", "0.0001"), _crypto("ETHUSD", "0.001"), _crypto("ETHUSDT", "0.001"),
)}
"""The shipped table. Source: the exchanges' contract specifications; checked against each venue's own at start."""
