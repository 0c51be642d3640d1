"""The simulated market: a pure function of (seed, instrument, tick index)."""

from interlock.feeds.simulated.market import SimulatedMarket
from interlock.feeds.simulated.path import TICK_NS

__all__ = ["TICK_NS", "SimulatedMarket"]
