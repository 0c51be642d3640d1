import pytest
from tests.matching.bench import Bench

from interlock.matching import Rules
from interlock.model.instrument import INSTRUMENTS


@pytest.fixture
def es() -> Bench:
    return Bench(INSTRUMENTS["ES"], Rules())
