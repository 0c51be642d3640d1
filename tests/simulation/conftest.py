"""Simulated runs tell their own story; the product's log of every injected fault would drown a test's output."""

from collections.abc import Iterator

import pytest

from interlock.simulation.run import silence


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with silence():
        yield
