"""Interlock: a live-trading platform in which no order reaches a broker until every safety check has passed."""

__version__ = "0.1.0"
