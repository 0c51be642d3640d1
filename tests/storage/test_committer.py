"""One writer: in order, off the loop, and never again after a failure."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from tests.storage.chains import a_sealed

from interlock.errors import StorageError
from interlock.ports import Batch
from interlock.storage.committer import Committer
from interlock.storage.journal import Journal, verify
from interlock.storage.memory import MemoryStore
from interlock.storage.sqlite.store import SqliteStore


def runs(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    """A test that is a coroutine, on a loop of its own."""
    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), 20))
    run.__name__ = test.__name__
    return run


class Disk(MemoryStore):
    """A store whose commits wait for leave, and whose n-th commit fails."""

    def __init__(self, *, fails_at: int = 0, error: type[Exception] = StorageError) -> None:
        super().__init__()
        self.leave = threading.Semaphore(0)
        self.threads: set[int] = set()
        self.asked = 0
        self._fails_at, self._error = fails_at, error

    def commit(self, batch: Batch) -> None:
        assert self.leave.acquire(timeout=10)
        self.asked += 1
        self.threads.add(threading.get_ident())
        if self.asked == self._fails_at:
            raise self._error("the disk said no")
        super().commit(batch)


def batches(count: int) -> list[Batch]:
    journal = Journal(MemoryStore())
    return [a_sealed(journal, 2, rows=1) for _ in range(count)]


@runs
async def test_commit_returns_when_the_batch_is_durable_and_not_before() -> None:
    store = Disk()
    committer = Committer(store)
    first, second = batches(2)

    waiting = [asyncio.create_task(committer.commit(batch)) for batch in (first, second)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    store.leave.release()
    await waiting[0]

    assert store.head()[0] == first.last_seq
    assert not waiting[1].done()
    store.leave.release()
    await waiting[1]
    assert store.head()[0] == second.last_seq
    assert store.threads != {threading.get_ident()}
    assert len(store.threads) == 1
    committer.close()


@runs
async def test_the_order_of_asking_is_the_order_of_writing_when_there_is_no_room_either() -> None:
    store = Disk()
    committer = Committer(store, batches_max=2)
    asked = batches(20)

    waiting = [asyncio.create_task(committer.commit(batch)) for batch in asked]
    await asyncio.sleep(0)
    assert committer._queue.qsize() <= 2
    store.leave.release(20)
    await asyncio.gather(*waiting)

    assert verify(store).ok
    assert store.head()[0] == asked[-1].last_seq
    committer.close()


@runs
async def test_after_a_failure_nothing_is_written_any_more() -> None:
    store = Disk(fails_at=2)
    committer = Committer(store)
    asked = batches(4)
    store.leave.release(4)

    results = await asyncio.gather(*(committer.commit(batch) for batch in asked), return_exceptions=True)

    assert results[0] is None
    assert [type(result) for result in results[1:]] == [StorageError] * 3
    assert "the disk said no" in str(results[3])
    assert store.asked == 2, "a failed commit is not tried again, and no later one is begun"
    with pytest.raises(StorageError, match="the disk said no"):
        await committer.commit(asked[1])
    with pytest.raises(StorageError, match="the disk said no"):
        committer.commit_now(asked[1])
    assert store.asked == 2
    committer.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@runs
async def test_a_mistake_in_the_writer_leaves_nobody_waiting() -> None:
    store = Disk(fails_at=1, error=ZeroDivisionError)
    committer = Committer(store)
    store.leave.release(3)

    results = await asyncio.gather(*(committer.commit(batch) for batch in batches(3)), return_exceptions=True)

    assert [type(result) for result in results] == [StorageError] * 3
    assert store.asked == 1
    committer.close()


@runs
async def test_who_stops_waiting_does_not_take_the_batch_back() -> None:
    store = Disk()
    committer = Committer(store)
    first, second = batches(2)
    waiting = asyncio.create_task(committer.commit(first))
    await asyncio.sleep(0)

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    store.leave.release(2)
    await committer.commit(second)

    assert store.head()[0] == second.last_seq
    committer.close()


@runs
async def test_closing_finishes_what_waits() -> None:
    store = Disk()
    committer = Committer(store)
    asked = batches(3)
    waiting = [asyncio.create_task(committer.commit(batch)) for batch in asked]
    await asyncio.sleep(0)
    store.leave.release(3)

    committer.close()

    assert store.head()[0] == asked[-1].last_seq
    await asyncio.gather(*waiting)
    with pytest.raises(StorageError, match="closed"):
        await committer.commit(asked[0])


def test_a_replay_commits_on_its_own_thread(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "journal.db", durability="none")
    committer = Committer(store)

    for batch in batches(3):
        committer.commit_now(batch)

    assert verify(store).ok
    assert committer._thread is None
    committer.close()
    store.close()


@runs
async def test_commits_of_the_two_kinds_do_not_overtake_each_other() -> None:
    store = Disk()
    committer = Committer(store)
    first, second = batches(2)
    waiting = asyncio.create_task(committer.commit(first))
    await asyncio.sleep(0)

    with pytest.raises(StorageError, match="expected no batch to be waiting"):
        committer.commit_now(second)

    store.leave.release(2)
    await waiting
    committer.commit_now(second)
    committer.close()
