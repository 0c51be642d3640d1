"""Where the simulated prices stand and how far they move, per underlying, in points of the price."""

from typing import Final, NamedTuple

from interlock.model.instrument import Instrument


class Level(NamedTuple):
    """The middle of the price, the standard deviation of a minute, and half the height of the trends."""

    base: float
    minute: float
    swing: float


def level_of(instrument: Instrument) -> Level:
    """The level of the instrument's underlying; 10 000 ticks and 4 ticks a minute for one that is not in the table."""
    base, minute = _LEVELS.get(instrument.parent, (10_000 * float(instrument.tick), 4 * float(instrument.tick)))
    return Level(base, minute, _SWING * minute)


_SWING: Final = 60.0                    # deviations of a minute: an ER20 of .45 on 15 minutes is an ordinary event
_LEVELS: Final[dict[str, tuple[float, float]]] = {
    "ES": (6000.0, 2.0), "NQ": (21500.0, 8.0), "YM": (43000.0, 13.0), "RTY": (2250.0, 1.0),
    "CL": (70.0, 0.03), "GC": (2650.0, 0.9), "6E": (1.085, 0.0002),
    "SPY": (600.0, 0.2), "QQQ": (520.0, 0.2), "IWM": (224.0, 0.1), "DIA": (430.0, 0.13), "GLD": (245.0, 0.08),
    "SLV": (28.0, 0.02), "TLT": (90.0, 0.03), "IEF": (94.0, 0.02), "UNG": (15.0, 0.02), "USO": (73.0, 0.04),
    "VXX": (45.0, 0.05), "BTC": (64000.0, 30.0), "ETH": (3200.0, 2.0),
}
