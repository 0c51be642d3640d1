"""A kill drill: its figures are the venue's own, and they end in the record of the desk that asked for it."""

import json
from pathlib import Path

import pytest
from tests.process.desk import Desk, interlock

from interlock.errors import ConfigError
from interlock.records import Records
from interlock.runtime.drill import drill

pytestmark = pytest.mark.process


def test_a_drill_cancels_every_order_and_is_recorded(tmp_path: Path):
    desk = Desk.make(tmp_path / "state", config=None)
    desk.start()
    try:
        held = interlock("drill", "--orders", "12", "--state", desk.state, "--json", timeout=120)
    finally:
        assert desk.end() == 0

    assert held.returncode == 0, held.stderr
    answer = json.loads(held.stdout)
    assert set(answer) == {"orders", "cancelled", "confirmed_ms"}
    assert (answer["orders"], answer["cancelled"]) == (12, 12)
    assert 0 < answer["confirmed_ms"] < 5_000
    with Records.open(desk.state) as records:
        recorded, = (entry["payload"] for entry in records.tail(5000, "drill_recorded"))
    assert (recorded["orders"], recorded["cancelled"], recorded["confirmed_ms"]) == (12, 12, answer["confirmed_ms"])
    status = json.loads(interlock("status", "--state", desk.state, "--json").stdout)
    assert status["killed"] is False, "it is not this desk's kill"


@pytest.mark.parametrize("orders", [0, -1, 201])
def test_a_drill_of_no_orders_or_too_many_is_refused(orders):
    with pytest.raises(ConfigError, match="1 to 200 orders"):
        drill(orders)
