"""How pessimistic a simulated fill is. Every number errs against the order."""

from msgspec import Struct

from interlock.errors import ConfigError
from interlock.model.money import SECOND, Nanos


class Rules(Struct, frozen=True, kw_only=True):
    """The numbers of the fill rules. Times are of the engine clock."""

    latency: Nanos = SECOND // 4       # from the decision to the book
    cancel_latency: Nanos = SECOND // 4
    dwell: Nanos = SECOND              # how long the opposite quote must stand at a resting limit to fill it
    through_ticks: int = 1             # how far a trade must go beyond a resting limit to fill it
    slip_quarters: int = 1             # quarters of the spread that a marketable order pays on top of the quote
    quote_age_max: Nanos = 5 * SECOND  # a quote without a time of its own is no price after this
    bar_grace: Nanos = SECOND          # an order that came later than this into a bar has not seen the bar's path

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if getattr(self, name) < 0:
                raise ConfigError(f"matching: {name} must not be negative, found {getattr(self, name)}")


def taken_price(is_buy: bool, bid: int, ask: int, tick: int, quarters: int) -> int:
    """What a marketable order pays or gets: the opposite quote and `quarters` of the spread, rounded against it.

    With a spread of one tick a quarter of it is rounded up to the whole tick.

    >>> taken_price(True, 100, 101, 1, 1), taken_price(False, 100, 101, 1, 1), taken_price(True, 100, 108, 1, 1)
    (102, 99, 110)
    >>> taken_price(True, 100, 101, 1, 0)
    101
    """
    quarter_spread = (ask - bid) * quarters
    unit = 4 * tick
    if is_buy:
        return -((-4 * ask - quarter_spread) // unit) * tick
    return (4 * bid - quarter_spread) // unit * tick
