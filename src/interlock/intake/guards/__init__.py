"""Signal guards by name. Ours are below; a package adds its own under the entry point group interlock.signal_guards.

A guard is a pure function of what it is shown. It is asked for entries only: what limits getting in must not keep
anyone from getting out.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Final, TypeAlias

from interlock.errors import ConfigError
from interlock.intake.guards.asked import Asked
from interlock.intake.guards.fire_count import fire_count
from interlock.intake.guards.session_window import session_window
from interlock.intake.rules import Refusal
from interlock.model.codes import CODES

SignalGuard: TypeAlias = Callable[[Asked], Refusal | None]

GROUP: Final = "interlock.signal_guards"
BUILT_IN: Final[Mapping[str, SignalGuard]] = {"session_window": session_window, "fire_count": fire_count}

BREAKS: Final = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What a pure function can raise."""

__all__ = ["BUILT_IN", "GROUP", "Asked", "SignalGuard", "ask", "discover"]


def discover() -> dict[str, SignalGuard]:
    """Ours and every installed package's, by name. Raises ConfigError where a package takes a name that is in use."""
    found = dict(BUILT_IN)
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        if point.name in found:
            raise ConfigError(f"signal guard {point.name}: {point.value} takes a name that is in use already")
        found[point.name] = point.load()
    return found


def ask(name: str, guard: SignalGuard, asked: Asked) -> Refusal | None:
    """The guard's answer. What breaks in it, and an answer that is none, refuse; a code that is not in the catalogue
    becomes guard.refused with that code in its reason."""
    try:
        answer: object = guard(asked)
    except BREAKS as broken:
        return Refusal("guard.failed", f"signal guard {name} broke: {type(broken).__name__}")
    if isinstance(answer, Refusal) and answer.code not in CODES:
        return Refusal("guard.refused", f"{answer.code} (signal guard {name}): {answer.reason}")
    if answer is None or isinstance(answer, Refusal):
        return answer
    return Refusal("guard.failed", f"signal guard {name}: expected None or a Refusal, found {type(answer).__name__}")

