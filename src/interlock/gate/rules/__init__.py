"""Rules of prop firms, as packs of checks. No pack is shipped: `PACKS` is empty, and a lane that names one is refused.

A pack turns the dated figures of one firm, plan and phase into checks that look ahead: the loss if every protective
stop were hit must fit into what the firm's rules leave.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from interlock.errors import ConfigError
from interlock.gate.check import Check


class Pack(Protocol):
    """The rules of one firm, plan and phase as they stood on a day."""

    @property
    def name(self) -> str:
        """Firm, plan and phase, e.g. "acme.50k.evaluation"."""
        ...

    @property
    def read_on(self) -> str:
        """ISO date on which the firm's rules were read."""
        ...

    def checks(self) -> tuple[Check, ...]:
        """The checks in the order in which they are asked."""
        ...


PACKS: Final[Mapping[str, Pack]] = MappingProxyType({})


def rule_checks(names: tuple[str, ...], packs: Mapping[str, Pack] = PACKS) -> tuple[Check, ...]:
    """The checks of the named packs, in order. Raises ConfigError for a pack that does not exist."""
    found: list[Check] = []
    for name in names:
        if name not in packs:
            known = ", ".join(sorted(packs)) or "none is shipped"
            raise ConfigError(f"gate.rules: expected the name of a rule pack ({known}), found {name!r}")
        found.extend(packs[name].checks())
    return tuple(found)
