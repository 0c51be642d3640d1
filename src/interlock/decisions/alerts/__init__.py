"""Accepted alerts as intents: what the sender wished, bounded by the exits that the lane has chosen."""

from interlock.decisions.alerts.convert import ExitProfile, convert

__all__ = ["ExitProfile", "convert"]
