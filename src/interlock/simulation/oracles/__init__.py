"""What must always be true, judged from wire, disk and venue records alone."""

from interlock.simulation.oracles import drift, exits, fills, kill, market, orders, people, process
from interlock.simulation.oracles.base import Court, Oracle

__all__ = ["CORE", "INVARIANTS", "WORLD", "Court", "Oracle"]

ALL: tuple[type[Oracle], ...] = (
    *orders.ORACLES, *market.ORACLES, *kill.ORACLES, *fills.ORACLES, *exits.ORACLES, *drift.ORACLES, *people.ORACLES,
    *process.ORACLES)
"""Every oracle."""

CORE: tuple[type[Oracle], ...] = ALL
"""What a run of the core is judged by. Those that hear only of things which the core has not (leases, beats, builds) are
silent there."""

WORLD: tuple[type[Oracle], ...] = ALL
"""What a run of the world is judged by."""

INVARIANTS: tuple[str, ...] = tuple(f"INV-{number:02d}" for number in range(1, 31))
