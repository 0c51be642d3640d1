"""docs/health.md names every reading and every fallback as the code has them."""

import re

import pytest
from tests.house.repository import DOCS

from interlock.errors import InvariantBroken
from interlock.health.table import COMPONENTS
from interlock.model.fallbacks import EARLY, FALLBACKS, WARNING, fallback
from interlock.model.record import FallbackUsed
from interlock.runtime.fallbacks import Fallbacks

PAGE = (DOCS / "health.md").read_text()


def rows(first: str) -> list[list[str]]:
    """The table whose first column is headed so."""
    lines = PAGE[PAGE.index(f"| {first} |"):].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_reading_stands_there_with_its_thresholds():
    told = {re.match(r"`(\w+)`", row[0])[1]: row[1:] for row in rows("reading")}  # type: ignore[index]

    assert told == {each.name: [each.scope, ", ".join(f"{above:g}" for above, _ in each.steps),
                                ", ".join(str(tier) for _, tier in each.steps), str(each.missing)] for each in COMPONENTS}


def test_every_fallback_stands_there():
    assert rows("name") == [[f"`{each.name}`", each.severity, each.degrades] for each in FALLBACKS.values()]


@pytest.mark.parametrize(("name", "severity"), [("nothing.such", "warning"), ("mirror.behind", "info")])
def test_only_what_is_registered_can_be_taken(name, severity):
    with pytest.raises(InvariantBroken):
        fallback(name, severity)


def test_uses_are_counted_and_handed_to_the_record():
    told: list[FallbackUsed] = []
    fallbacks = Fallbacks(told.append)

    fallbacks.use(fallback("mirror.behind", WARNING, "disk full"))
    fallbacks.use(fallback("mirror.behind", WARNING, "disk full"))

    assert [(each.name, each.why, each.count) for each in told] == [
        ("mirror.behind", "disk full", 1), ("mirror.behind", "disk full", 2)]


def test_what_was_taken_before_anybody_listened_is_told_at_the_start():
    EARLY.append(fallback("mirror.behind", WARNING, "early"))
    told: list[FallbackUsed] = []

    Fallbacks(told.append).begin(())

    assert [each.why for each in told][-1:] == ["early"]
    assert not EARLY
