"""Desks that close themselves."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.scenarios.desk import Desk


@pytest.fixture
def desk_of(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Start a desk in a directory of its own: `desk_of(text)`."""
    made: list[Desk] = []

    def start(text: str | None = None, name: str = "state", **more: object) -> Desk:
        made.append(Desk(tmp_path / name, text, **more))  # type: ignore[arg-type]
        return made[-1]

    yield start
    for desk in made:
        with suppress(Exception):      # a test may have stopped or crashed it already
            desk.crash()
