"""The one matching core: which order fills, at which price, given what the market did. Pure; venues stand on it."""

from interlock.matching.market import Market
from interlock.matching.order import BookOrder, Bracket, Ended, Event, Filled, Phase, Resized
from interlock.matching.rules import Rules

__all__ = ["BookOrder", "Bracket", "Ended", "Event", "Filled", "Market", "Phase", "Resized", "Rules"]
