"""SafeBroker's limits of one account as they are configured, and what they come to for one instrument."""

from decimal import Decimal

from msgspec import Struct

from interlock.model.instrument import Instrument, Kind
from interlock.model.view import Limits


class SafeLimits(Struct, frozen=True, kw_only=True):
    """The paper defaults. There is no "unlimited"."""

    notional_per_order: Decimal = Decimal(50_000)     # shares, crypto
    shares_per_symbol: Decimal = Decimal(2_000)
    contracts_per_symbol: Decimal = Decimal(20)
    contract_value: Decimal = Decimal(0)              # of the largest allowed future, computed at start
    orders_per_minute: int = 60
    daily_loss: Decimal = Decimal(5_000)
    symbols: tuple[str, ...] = ()                     # empty: any, in paper only

    def of(self, instrument: Instrument, price: Decimal) -> Limits:
        """The limits as sizing and SafeBroker both apply them to this instrument at this price.

        A future's notional per order is that of its contracts at the value of the largest allowed one; where none was
        computed, its own value stands in. Crypto has no limit in units: its notional per order bounds the position too.
        """
        notional, position = self.notional_per_order, self.shares_per_symbol
        if instrument.kind is Kind.FUTURE:
            position = self.contracts_per_symbol
            notional = position * max(self.contract_value, price * instrument.multiplier)
        elif instrument.kind is Kind.CRYPTO:
            position = notional / (price * instrument.multiplier)
        return Limits(notional_per_order=notional, position_per_symbol=position,
                      orders_per_minute=self.orders_per_minute, daily_loss=self.daily_loss, symbols=self.symbols)
