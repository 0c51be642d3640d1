"""A budget of entries, for trying a strategy out: the entry that accepts an alert consumes one, and none comes back."""

from interlock.intake.guards.asked import Asked
from interlock.intake.rules import Refusal


def fire_count(asked: Asked) -> Refusal | None:
    if asked.fires_left is None or asked.fires_left > 0:
        return None
    return Refusal("fires.spent", f"strategy {asked.alert.strategy} has used all of its {asked.row.fires} fires")
