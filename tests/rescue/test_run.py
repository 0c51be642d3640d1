"""`interlock-kill` from end to end in this process: each reason that it can give for not doing what was asked."""

import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.brokers.paper.loopback import Loopback

from interlock.brokers.paper import Fault, Verb
from interlock.config.load import FILE_NAME
from interlock.config.write import make_state
from interlock.errors import InputError
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Provenance, Quote
from interlock.model.money import SECOND
from interlock.ports import Capabilities
from interlock.rescue import gate
from interlock.rescue.run import Wish, rescue
from interlock.runtime import rescued
from interlock.storage.lease import Lease

D = Decimal
MNQ = INSTRUMENTS["MNQ"]
NATIVE = Capabilities(has_native_brackets=True, has_replace=True, visibility_delay=0)

CONFIG = """
[desk]
mode = "paper"

[brokers.away]
kind = "loopback"
port = {port}
token = "venue_trade"
rescue_token = "venue_flatten"
timeout_ms = 500

[brokers.inside]

[accounts.paper-1]
broker = "away"

[accounts.paper-2]
broker = "inside"
"""


class Setting:
    def __init__(self, path: Path, *faults: Fault) -> None:
        self.venue = Loopback({"MNQ": MNQ}, {"paper-1": D(50_000)}, path=path / "book.db", capabilities=NATIVE, faults=faults,
                              timeout=2.0)
        ts, price = SECOND, MNQ.increments(D("20000"))
        self.venue.on_market(Quote("MNQ", price, price + 1, 50, 50, ts, ts, Provenance.SIMULATED))
        self.state = path / "state"
        make_state(self.state)
        (self.state / FILE_NAME).write_text(CONFIG.format(port=self.venue.number))
        with (self.state / "secrets.toml").open("a") as file:
            file.write('\nvenue_flatten = "flatten-credential"\n')
        self.said: list[str] = []

    def holds(self) -> None:
        leg = '{"id":"held","role":"entry","purpose":"enter","side":"buy","quantity":"2","type":"market","tif":"gtc"}'
        body = f'{{"op":"order","account":"paper-1","symbol":"MNQ","legs":[{leg}]}}'
        self.venue.loop.run(self.venue.remote.line.request("place", body.encode()))
        self.venue.advance(self.venue.now + SECOND)

    def rescue(self, **wish: Any) -> dict[str, Any]:
        return rescue(self.state, Wish(who="anna", **wish), confirm=lambda _: {}, say=self.said.append)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    made: list[Setting] = []

    def setting(*faults: Fault) -> Setting:
        made.append(Setting(tmp_path, *faults))
        return made[-1]

    yield setting
    for each in made:
        each.venue.close()


def codes(answer: dict[str, Any], account: str = "paper-1") -> list[str]:
    row, = (row for row in answer["accounts"] if row["account"] == account)
    return [why["code"] for why in (*answer["why"], *row["why"])]


def test_the_account_of_a_venue_inside_the_engine_is_explained_and_the_other_one_is_served(make):
    answer = make().rescue()

    assert codes(answer, "paper-2") == ["rescue.venue_inside"]
    assert codes(answer) == []
    assert answer["epoch"] == 1


def test_the_note_for_the_next_start_is_left(make):
    setting = make()
    answer = setting.rescue(why="it hangs")

    found = rescued.found(setting.state)
    assert found is not None
    assert (found.who, found.origin, found.command.why) == ("anna", "interlock-kill", "interlock-kill: it hangs")  # type: ignore[union-attr]
    assert answer["journal"] == str(setting.state.with_name("state-rescue") / "rescue.db")


def test_an_unknown_account_begins_nothing(make):
    with pytest.raises(InputError, match=r"rescue\.account_unknown"):
        make().rescue(accounts=("paper-9",))


def test_a_lease_that_cannot_be_taken_closes_nothing(make):
    setting = make()
    setting.holds()
    (setting.state / "lease.json").write_text("{")

    assert "rescue.no_fence" in codes(setting.rescue(flattens=True, confirmed=("paper-1",)))


def test_a_holder_that_hangs_in_the_middle_of_renewing_is_named(make, monkeypatch):
    import fcntl
    setting = make()
    monkeypatch.setattr("interlock.storage.lease._WAIT_S", 0.05)
    engine = Lease.take(setting.state, "interlock run")
    held = os.open(setting.state / "lease.write", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        assert "rescue.no_fence" in codes(setting.rescue())
    finally:
        os.close(held)
        engine.release()
    assert any("kill -9" in line for line in setting.said)


def test_a_journal_that_cannot_be_written_closes_nothing(make, tmp_path):
    setting = make()
    setting.holds()
    (tmp_path / "file").write_text("")

    answer = setting.rescue(flattens=True, confirmed=("paper-1",), journal=tmp_path / "file" / "x")

    assert "rescue.no_journal" in codes(answer)


def test_nobody_confirmed(make):
    setting = make()
    setting.holds()

    assert codes(setting.rescue(flattens=True)) == ["rescue.not_confirmed"]


def test_a_venue_that_does_not_answer(make):
    assert "rescue.unreachable" in codes(make(Fault(on="read", verb=Verb.DROP_RESPONSE, nth=0)).rescue())


@pytest.mark.parametrize(("field", "value", "code"), [
    ("shown_id", "PAPER-9999", "rescue.account_moved"), ("now", 0, "rescue.position_old"),
    ("working", D(1), "rescue.not_reducing")])
def test_what_the_small_gate_refuses_is_said(make, monkeypatch, field, value, code):
    """The world moves between the look and the judgement."""
    from msgspec.structs import replace
    setting = make()
    setting.holds()
    judge = gate.judge
    monkeypatch.setattr("interlock.rescue.act.judge",
                        lambda order, instrument, sight: judge(order, instrument, replace(sight, **{field: value})))

    assert code in codes(setting.rescue(flattens=True, confirmed=("paper-1",)))


def test_an_instrument_that_is_not_defined_here_is_left_to_the_person(make, monkeypatch):
    setting = make()
    setting.holds()
    judge = gate.judge
    monkeypatch.setattr("interlock.rescue.act.judge", lambda order, instrument, sight: judge(order, None, sight))

    assert "rescue.instrument" in codes(setting.rescue(flattens=True, confirmed=("paper-1",)))
