"""Strategies by name: those that are shipped, and those that other packages offer as `interlock.strategies`."""

import dataclasses
import difflib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Final

from interlock.decisions.ema_cross import EmaCross
from interlock.decisions.opening_drive import OpeningDrive
from interlock.decisions.strategy import Strategy
from interlock.errors import ConfigError, InputError

GROUP: Final = "interlock.strategies"
SHIPPED: Final[dict[str, type[Strategy]]] = {"opening_drive": OpeningDrive, "ema_cross": EmaCross}


def find(name: str) -> type[Strategy]:
    """The strategy class of that name; a shipped name cannot be taken by another package.

    Raises ConfigError for a name that nobody offers, with the nearest that somebody does.
    """
    if name in SHIPPED:
        return SHIPPED[name]
    offered = {point.name: point for point in entry_points(group=GROUP)}
    if name not in offered:
        known = sorted({*SHIPPED, *offered})
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"no strategy is named {name!r}{hint} (there are {', '.join(known)})")
    try:
        found = offered[name].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"strategy {name!r}: {offered[name].value} cannot be loaded: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise ConfigError(f"strategy {name!r}: {offered[name].value} is no Strategy")
    return found


def build(name: str, params: Mapping[str, object]) -> Strategy:
    """The strategy with these numbers, the rest as shipped.

    Raises ConfigError for a number that it does not have, one of another type, or one that it refuses.
    """
    kind = find(name)
    fields = {each.name: each for each in dataclasses.fields(kind) if each.init}
    for key, value in params.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            known = ", ".join(fields) or "none"
            raise ConfigError(f"strategy {name!r} has no parameter {key!r}{hint} (it has {known})")
        shipped = fields[key].default
        if shipped is not dataclasses.MISSING and not _is_like(value, shipped):
            raise ConfigError(f"strategy {name!r}: {key} must be {type(shipped).__name__}, found {value!r}")
    try:
        return kind(**params)
    except (TypeError, InputError) as error:
        raise ConfigError(f"strategy {name!r}: {error}") from error


def _is_like(value: object, shipped: object) -> bool:
    if isinstance(value, bool) or isinstance(shipped, bool):
        return isinstance(value, bool) and isinstance(shipped, bool)
    return isinstance(value, type(shipped)) or (isinstance(shipped, float) and isinstance(value, int))
