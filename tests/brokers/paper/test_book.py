"""The venue's own file: what is in it at any instant is enough to go on from."""

import sqlite3

import pytest
from tests.brokers.paper.rig import MNQ, A, D, Fault, Rig, Verb, bracket, filled, leg, order

from interlock.brokers.paper import NoBook, PaperVenue
from interlock.errors import StorageError
from interlock.model.money import SECOND
from interlock.model.report import OrderMissing


@pytest.fixture
def path(tmp_path):
    return tmp_path / "book.db"


def started(path) -> Rig:
    rig = Rig(path=path)
    rig.quote("20000", "20000.25", after=SECOND)
    return rig


def again(rig: Rig, path) -> Rig:
    """The process ended; nothing was closed in order."""
    rig.paper.venue._book._db.close()              # type: ignore[attr-defined]
    return Rig(path=path)


def tables(path):
    with sqlite3.connect(path) as database:
        return {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
                for name in ("accounts", "orders", "executions", "positions")}


def test_the_book_is_written_before_the_answer_comes_back(path):
    rig = started(path)
    rig.place(bracket())

    assert tables(path) == {"accounts": 2, "orders": 3, "executions": 0, "positions": 0}
    rig.wait(SECOND)
    assert tables(path) == {"accounts": 2, "orders": 3, "executions": 1, "positions": 1}


def test_nothing_is_told_before_it_is_committed():
    log = []

    class Watched(NoBook):
        def save(self, row):
            log.append("save")

        def commit(self):
            log.append("commit")

    rig = Rig()
    venue = PaperVenue({"MNQ": MNQ}, {A: D(50_000)}, book=Watched())
    venue.listen(lambda body: log.append("report"))
    log.clear()
    venue.handle("place", rig.broker.encode(bracket()).body)

    assert log == ["save"] * 3 + ["commit"] + ["report"] * 3


def test_anybody_can_count_entries_per_signal_in_it(path):
    rig = started(path)
    rig.place(bracket())

    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT account, tag, count(*) FROM orders WHERE purpose = 'enter' GROUP BY 1, 2")
        assert rows.fetchall() == [(A, "s" * 18, 1)]


def test_an_order_on_its_way_arrives_after_the_restart(path):
    rig = started(path)
    rig.place(bracket())
    rig = again(rig, path)
    assert rig.venue.next_due() is not None

    rig.quote("20000", "20000.25", after=0)
    assert rig.wait(SECOND) == [("fill", "entry", "2 @ 20000.5"), ("ack", "stop", "live 2"),
                                ("ack", "target", "live 2")]


def test_a_cancel_on_its_way_arrives_after_the_restart(path):
    rig = started(path)
    rig.place(order(leg("x", "buy", "1", "limit", "19000")))
    rig.wait(SECOND)
    rig.cancel("x")
    rig = again(rig, path)

    assert rig.wait(2 * SECOND) == [("cancelled", "x", "cancelled by its owner")]


def test_a_replacement_on_its_way_arrives_after_the_restart(path):
    rig = filled(started(path))
    rig.modify(order(leg("stop2", "sell", "2", "stop", "19995", "protect"), replaces="stop"))
    rig = again(rig, path)

    assert rig.wait(SECOND) == [("ack", "stop2", "live"), ("cancelled", "stop", "replaced by stop2")]
    rig.trade("19995")
    assert rig.quote("19995", "19995.25") == [("fill", "stop2", "2 @ 19995"),
                                              ("cancelled", "target", "one cancels the other")]


def test_a_bracket_stays_linked_over_a_restart_in_the_middle_of_its_entry(path):
    rig = Rig(path=path)
    rig.quote("20000", "20000.25", size=3)
    rig.place(bracket("5"))
    rig.wait(SECOND)
    rig = again(rig, path)
    assert [(o.client_order_id, o.quantity, o.filled) for o in rig.read().orders] == [
        ("entry", D(5), D(3)), ("stop", D(3), D(0)), ("target", D(3), D(0))]

    assert rig.quote("20000", "20000.25") == [("fill", "entry", "2 @ 20000.5"), ("ack", "stop", "live 5"),
                                              ("ack", "target", "live 5")]
    rig = again(rig, path)
    rig.quote("20000", "20000.25")
    assert rig.trade("20020.25") == [("fill", "target", "5 @ 20020"), ("cancelled", "stop", "one cancels the other")]


def test_a_replaced_entry_keeps_its_children_over_a_restart(path):
    rig = started(path)
    rig.place(bracket("4", entry=("limit", "19999")))
    rig.wait(SECOND)
    rig.modify(order(leg("entry2", "buy", "4", "limit", "19998"), replaces="entry"))
    rig.wait(SECOND)
    rig = again(rig, path)
    rig.quote("20000", "20000.25")

    assert rig.trade("19998.50") == []
    assert rig.trade("19997.75") == [("fill", "entry2", "4 @ 19998"), ("ack", "stop", "live 4"),
                                     ("ack", "target", "live 4")]
    rig = again(rig, path)
    rig.trade("19990")
    assert rig.quote("19989", "19989.25") == [("fill", "stop", "4 @ 19989"),
                                              ("cancelled", "target", "one cancels the other")]


def test_what_the_exits_have_closed_already_counts_after_a_restart(path):
    rig = Rig(Fault(on="fill", verb=Verb.PARTIAL, nth=2), path=path)
    rig.quote("20000", "20000.25", after=SECOND)
    filled(rig, "4")
    assert rig.trade("20020.25")[-2:] == [("fill", "target", "2 @ 20020"), ("ack", "stop", "live 2")]
    rig = again(rig, path)
    rig.quote("20000", "20000.25")

    assert rig.trade("20020.25") == [("fill", "target", "2 @ 20020"), ("cancelled", "stop", "one cancels the other")]
    assert rig.read().positions == ()


@pytest.mark.parametrize("restarts", [False, True])
def test_the_exits_of_an_entry_that_was_replaced_by_a_larger_one_protect_all_of_it(path, restarts):
    rig = started(path)
    rig.place(bracket("2", entry=("limit", "19999")))
    rig.wait(SECOND)
    rig.modify(order(leg("entry2", "buy", "6", "limit", "19998"), replaces="entry"))
    rig.wait(SECOND)
    if restarts:
        rig = again(rig, path)
    rig.quote("20000", "20000.25")

    assert rig.trade("19997.75") == [("fill", "entry2", "6 @ 19998"), ("ack", "stop", "live 6"),
                                     ("ack", "target", "live 6")]


def test_what_a_replaced_entry_had_filled_is_still_protected_after_a_restart(path):
    rig = Rig(path=path)
    rig.quote("20000", "20000.25", size=3)
    rig.place(bracket("5", entry=("limit", "20000.25")))
    rig.wait(SECOND)
    rig.modify(order(leg("entry2", "buy", "2", "limit", "19999"), replaces="entry"))
    rig.wait(SECOND)
    rig = again(rig, path)
    rig.quote("20000", "20000.25")

    assert rig.trade("19998.75") == [("fill", "entry2", "2 @ 19999"), ("ack", "stop", "live 5"),
                                     ("ack", "target", "live 5")]


def test_a_triggered_stop_is_still_triggered_after_the_restart(path):
    rig = filled(started(path))
    rig.trade("19990")
    rig = again(rig, path)

    assert rig.quote("20001", "20001.25") == [("fill", "stop", "2 @ 20001"),
                                              ("cancelled", "target", "one cancels the other")]


def test_reduce_only_still_knows_the_position(path):
    rig = filled(started(path))
    rig = again(rig, path)
    rig.quote("20000", "20000.25")
    rig.place(order(leg("out", "sell", "5", purpose="flatten")))

    assert ("fill", "out", "2 @ 19999.75") in rig.wait(SECOND)


def test_an_opening_balance_counts_once(path):
    rig = filled(started(path))
    cash = rig.read().cash
    rig = again(rig, path)

    assert rig.read().cash == cash
    assert rig.read().account_id == "PAPER-0001-paper-1"


def test_without_a_file_nothing_is_kept():
    rig = Rig()
    rig.quote("20000", "20000.25")
    rig.place(bracket())

    assert isinstance(Rig().lookup("entry"), OrderMissing)


def test_a_file_that_is_no_book_is_refused(path):
    path.write_bytes(b"not a database, and longer than a header of one " * 10)

    with pytest.raises(StorageError, match="cannot be opened"):
        Rig(path=path)


def test_a_book_that_cannot_be_written_stops_the_venue_before_it_tells(path):
    rig = started(path)
    with sqlite3.connect(path, isolation_level=None) as other:
        rig.paper.venue._book._db.execute("PRAGMA busy_timeout=1")  # type: ignore[attr-defined]
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="cannot be written"):
            rig.place(bracket())

    with pytest.raises(StorageError, match="cannot be written"):
        rig.cancel("entry")
    assert rig.told() == [], "nothing is reported that is not in the book, and nothing goes on"


def test_a_damaged_row_is_named(path):
    filled(started(path))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE orders SET side = 'both'")

    with pytest.raises(StorageError, match="table orders"):
        Rig(path=path)
