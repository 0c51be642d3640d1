import pytest
from tests.brokers.paper.rig import Rig

from interlock.model.money import SECOND


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.quote("20000", "20000.25", after=SECOND)
    return rig
