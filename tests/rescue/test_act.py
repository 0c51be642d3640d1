"""The rescue at a venue behind a socket that misbehaves: what it says afterwards is the venue's own word."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.brokers.paper.loopback import Loopback

from interlock.brokers.paper import Fault, Verb
from interlock.brokers.paper.remote import RemotePaper
from interlock.brokers.paper.translate import order_bytes
from interlock.brokers.safe import AccountFacts, SafeBroker
from interlock.cli.rescue import app
from interlock.gate.clearance import Signer
from interlock.model.entry import Payload
from interlock.model.ids import AccountName, ClientOrderId, LaneName, SignalId, StrategyName
from interlock.model.instrument import INSTRUMENTS
from interlock.model.limits import SafeLimits
from interlock.model.market import Provenance, Quote
from interlock.model.money import SECOND
from interlock.model.order import Leg, Order, OrderType, Profile
from interlock.model.signal import Purpose, Side
from interlock.ports import Capabilities
from interlock.rescue.act import Act, Connected
from interlock.rescue.fence import take
from interlock.rescue.record import RescueRecord
from interlock.rescue.run import status_of
from interlock.storage.journal import verify
from interlock.storage.lease import Lease, overrule
from interlock.storage.sqlite.store import SqliteStore

D = Decimal
A = AccountName("paper-1")
MNQ = INSTRUMENTS["MNQ"]
NATIVE = Capabilities(has_native_brackets=True, has_replace=True, visibility_delay=0)
LIMITS = SafeLimits(notional_per_order=D(1), shares_per_symbol=D(1), contracts_per_symbol=D(1), orders_per_minute=1,
                    daily_loss=D(1), symbols=())


class Setting:
    """A venue with one account, the engine's own line to it, and a rescue."""

    def __init__(self, path: Path, *faults: Fault) -> None:
        self.path = path
        self.size = 50                 # of the quotes that come while the rescue is at work
        self.state = path / "state"
        self.state.mkdir()
        self.venue = Loopback({"MNQ": MNQ}, {A: D(50_000)}, path=path / "book.db", capabilities=NATIVE, faults=faults,
                              timeout=2.0)
        self.quote("20000")
        self.record = RescueRecord(path / "rescue")
        self.fence = take(self.state)

    def quote(self, bid: str, size: int = 50) -> None:
        ts = self.venue.now + SECOND
        price = MNQ.increments(D(bid))
        self.venue.on_market(Quote("MNQ", price, price + 1, size, size, ts, ts, Provenance.SIMULATED))

    def engine_places(self, id: str, side: str = "buy", quantity: str = "2", *, limit: str | None = None, stop: str | None = None,
                      purpose: Purpose = Purpose.ENTER) -> None:
        kind = OrderType.LIMIT if limit else OrderType.STOP if stop else OrderType.MARKET
        leg = Leg(client_order_id=ClientOrderId(id), role="entry", purpose=purpose, side=Side(side), quantity=D(quantity),
                  type=kind, limit=D(limit) if limit else None, stop=D(stop) if stop else None,
                  is_reduce_only=purpose is not Purpose.ENTER)
        order = Order(account=A, instrument="MNQ", venue_symbol="MNQ", legs=(leg,), signal_id=SignalId("s"), lane=LaneName("l"),
                      strategy=StrategyName("x"))
        self.venue.loop.run(self.venue.remote.line.request("place", order_bytes(order)))
        self.venue.advance(self.venue.now + SECOND)

    def rescue(self, *, flattens: bool = False, cancels_all: bool = False, later=None, shown: str | None = None) -> Act:
        """One rescue from beginning to end; `later` is called in the venue's loop after a quarter second."""
        return self.venue.loop.run(self._rescue(flattens, cancels_all, later, shown), timeout=40)

    async def _rescue(self, flattens, cancels_all, later, shown) -> Act:
        signer = Signer(profiles=(Profile.FLATTEN,))
        remote = RemotePaper({"MNQ": MNQ}, (A,), host="127.0.0.1", port=self.venue.number, token="flatten-credential",
                             capabilities=NATIVE, timeout=0.5)
        safe = SafeBroker(remote.broker, keys=signer.public_keys(), state_id=self.record.state_id, epochs=self.fence,
                          now=time.time_ns, instruments={"MNQ": MNQ}, limits={A: LIMITS},
                          accounts={A: AccountFacts(is_paper=True)})
        await remote.open()
        act = Act([Connected("venue", (A,), safe, 0.0)], {"MNQ": MNQ}, fence=self.fence, record=self.record, signer=signer,
                  cancels_all=cancels_all, who="anna")
        moving = asyncio.get_running_loop().create_task(self._move())
        if later is not None:
            asyncio.get_running_loop().call_later(0.25, later)
        try:
            await act.cancel()
            if flattens:
                await act.flatten({A: shown or act.results[A].account_id or ""})
        finally:
            moving.cancel()
            remote.close()
        return act

    async def _move(self) -> None:
        """The venue's own time goes on."""
        while True:
            await asyncio.sleep(0.02)
            ts, price = self.venue.venue.schedule.now + SECOND // 4, MNQ.increments(D("20000"))
            self.venue.venue.on_market(Quote("MNQ", price, price + 1, self.size, self.size, ts, ts, Provenance.SIMULATED))

    def written(self) -> list[Payload]:
        store = SqliteStore(self.record.path, read_only=True)
        try:
            return [raw.decode().payload for raw in store.raw()]
        finally:
            store.close()

    def close(self) -> None:
        self.record.close()
        self.fence.release()
        self.venue.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Setting]]:
    made: list[Setting] = []

    def setting(*faults: Fault) -> Setting:
        made.append(Setting(tmp_path, *faults))
        return made[-1]

    yield setting
    for each in made:
        each.close()


def test_what_could_add_risk_goes_and_what_protects_stays(make):
    setting = make()
    setting.engine_places("held")
    setting.engine_places("stop", "sell", stop="19990", purpose=Purpose.PROTECT)
    setting.engine_places("target", "sell", limit="20100", purpose=Purpose.TARGET)
    setting.engine_places("more", limit="19000")
    setting.engine_places("turn", "sell", limit="21000")

    result = setting.rescue().results[A]

    assert (sorted(result.cancelled), result.left, result.is_clean) == (["more", "turn"], [], True)
    assert [held.quantity for held in result.positions] == [D(2)]
    assert result.notional == D("80002")           # 2 contracts at 20000.50, two dollars a point
    assert result.result is None


def test_with_all_the_stop_goes_too(make):
    setting = make()
    setting.engine_places("held")
    setting.engine_places("stop", "sell", stop="19990", purpose=Purpose.PROTECT)

    assert setting.rescue(cancels_all=True).results[A].cancelled == ["stop"]


def test_an_exit_without_a_position_is_no_protection(make):
    setting = make()
    setting.engine_places("orphan", "sell", limit="20500", purpose=Purpose.REDUCE)

    assert setting.rescue().results[A].cancelled == ["orphan"]


def test_an_order_that_surfaces_after_the_first_empty_list_is_found_and_cancelled(make):
    setting = make()

    def surfaces() -> None:
        leg = ('{"id":"late","role":"entry","purpose":"enter","side":"buy","quantity":"1","type":"limit","tif":"gtc",'
               '"limit":"19000"}')
        setting.venue.venue.handle("place", f'{{"op":"order","account":"{A}","symbol":"MNQ","legs":[{leg}]}}'.encode())

    result = setting.rescue(later=surfaces).results[A]

    assert (result.cancelled, result.is_clean) == (["late"], True)


def test_a_cancel_that_the_venue_refuses_leaves_the_order_named(make, monkeypatch):
    monkeypatch.setattr("interlock.rescue.act.CANCEL_S", 1.5)
    setting = make(Fault(on="cancel", verb=Verb.REJECT_CANCEL, nth=0))
    setting.engine_places("more", limit="19000")

    result = setting.rescue().results[A]

    assert (result.left, result.is_clean) == (["more"], False)


def test_a_position_is_closed_by_orders_that_can_only_reduce(make):
    setting = make()
    setting.engine_places("held")
    setting.engine_places("stop", "sell", stop="19990", purpose=Purpose.PROTECT)

    act = setting.rescue(flattens=True)

    result = act.results[A]
    assert (result.result, result.positions, result.left) == ("flat", [], [])
    rows = sqlite3.connect(setting.path / "book.db").execute(
        "SELECT side, quantity, is_reduce_only FROM orders WHERE purpose = 'flatten'").fetchall()
    assert len(rows) == 1
    kinds = [type(payload).__struct_config__.tag for payload in setting.written()]
    at = kinds.index("attempt")
    assert kinds[at:at + 2] == ["attempt", "clearance"], "written down before it was written out"
    assert kinds.index("flatten_begun") < at < kinds.index("flatten_ended")
    assert verify(setting.record.path).ok


def test_an_exit_that_fills_piece_by_piece_is_waited_for(make):
    setting = make()
    setting.engine_places("held", quantity="4")
    setting.size = 1

    result = setting.rescue(flattens=True).results[A]

    assert (result.result, result.positions) == ("flat", [])
    sold = sqlite3.connect(setting.path / "book.db").execute(
        "SELECT quantity FROM executions WHERE side = 'sell' ORDER BY rowid").fetchall()
    assert sum(D(quantity) for quantity, in sold) == D(4)
    assert len(sold) > 1


def test_an_exit_without_an_answer_is_looked_up_and_not_repeated(make):
    setting = make(Fault(on="place", verb=Verb.DROP_RESPONSE, nth=2))
    setting.engine_places("held")

    result = setting.rescue(flattens=True).results[A]

    assert result.result == "flat"
    rows = sqlite3.connect(setting.path / "book.db").execute("SELECT count(*) FROM orders WHERE purpose = 'flatten'").fetchone()
    assert rows == (1,)


def test_an_exit_that_the_venue_rejects_is_followed_by_a_new_one(make):
    setting = make(Fault(on="place", verb=Verb.REJECT, nth=2))
    setting.engine_places("held")

    assert setting.rescue(flattens=True).results[A].result == "flat"
    rows = sqlite3.connect(setting.path / "book.db").execute(
        "SELECT client_order_id, outcome FROM orders WHERE purpose = 'flatten' ORDER BY number").fetchall()
    assert [outcome for _, outcome in rows] == ["rejected", "filled"]
    assert rows[0][0] != rows[1][0], "another generation, under another id"


def test_an_account_that_is_another_than_the_one_that_was_shown_is_left_alone(make):
    setting = make()
    setting.engine_places("held")

    result = setting.rescue(flattens=True, shown="PAPER-9999").results[A]

    assert result.result == "residual"
    assert "rescue.account_moved" in [why.code for why in result.why]


def test_a_rescue_that_is_overruled_itself_writes_nothing_more(make):
    setting = make()
    setting.engine_places("held")
    overrule(setting.state, "somebody else")

    result = setting.rescue(flattens=True).results[A]

    assert result.positions or result.result != "flat"
    assert not sqlite3.connect(setting.path / "book.db").execute("SELECT 1 FROM orders WHERE purpose = 'flatten'").fetchall()


def test_a_lease_that_was_seized_refuses_the_holder_and_keeps_its_lock(tmp_path):
    engine = Lease.take(tmp_path, "interlock run")
    fence = take(tmp_path)

    assert (fence.was_held, fence.epoch) == (True, 2)
    assert engine.read_epoch() != engine.epoch
    fence.release()
    engine.release()
    assert take(tmp_path).was_held is False


@pytest.mark.parametrize(("row", "epoch", "status"), [
    ({}, 2, 0), ({"result": "flat"}, 2, 0), ({"clean": False}, 2, 1), ({"result": "residual"}, 2, 1),
    ({"result": "unknown"}, 2, 3), ({"account_id": None}, 2, 3), ({}, None, 3)])
def test_the_exit_status_says_what_is_known(row, epoch, status):
    found = {"account_id": "P", "clean": True, "result": None} | row

    assert status_of({"epoch": epoch, "journal": "j", "accounts": [found]}) == status


def test_the_command_is_there():
    assert app.registered_commands
