"""The single writer: one thread commits one batch after the other, and stops for good at the first that fails.

A failed sync is never tried again: after it the system may say that data is safe which it has thrown away.
"""

import asyncio
import threading
from queue import SimpleQueue
from typing import Final, TypeAlias

from interlock.errors import StorageError
from interlock.ports import Batch
from interlock.storage.chain import Kept

_Waiting: TypeAlias = tuple[Batch, "asyncio.Future[None]", asyncio.AbstractEventLoop]
BATCHES_MAX: Final = 64
_CLOSE_S: Final = 30.0


class Committer:
    """Commits batches to a store, in order, off the event loop. One event loop uses it, or one replay.

    At most `batches_max` wait; who brings more waits for room.
    """

    def __init__(self, store: Kept, *, batches_max: int = BATCHES_MAX) -> None:
        self._store = store
        self._room = asyncio.Semaphore(batches_max)
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._outstanding = 0                  # counted on the caller's side alone
        self._thread: threading.Thread | None = None
        self.failure: str | None = None        # why nothing is committed any more

    async def commit(self, batch: Batch) -> None:
        """Return when the batch is durable. Raises StorageError when it is not, or when that is not known; then every
        later commit fails too. Cancelling the wait does not take the batch back."""
        async with self._room:
            self._refuse_after_failure()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
                self._thread.start()
            loop = asyncio.get_running_loop()
            done: asyncio.Future[None] = loop.create_future()
            self._outstanding += 1
            self._queue.put((batch, done, loop))
            if self.failure is not None:       # the writer may have ended before it saw this batch
                done.cancel()
                self._refuse_after_failure()
            await done

    def commit_now(self, batch: Batch) -> None:
        """Commit on the caller's thread, as a replay does. Raises StorageError, as `commit` does."""
        self._refuse_after_failure()
        if self._outstanding:
            raise StorageError(f"expected no batch to be waiting, found {self._outstanding}; await them first")
        self._write(batch)

    def _refuse_after_failure(self) -> None:
        if self.failure is not None:
            raise StorageError(f"nothing is committed any more: {self.failure}")

    def _write(self, batch: Batch) -> None:
        self._refuse_after_failure()
        try:
            self._store.commit(batch)
        except StorageError as error:
            self.failure = str(error)
            raise

    def _run(self) -> None:
        waiting: _Waiting | None = None
        try:
            while (waiting := self._queue.get()) is not None:
                self._tell(waiting, self._try(waiting[0]))
                waiting = None
        finally:
            if waiting is not None:            # a mistake of ours in the middle of a commit: nobody may wait for ever
                self.failure = "the journal's writer broke off in the middle of a commit"
                while waiting is not None:
                    self._tell(waiting, StorageError(self.failure))
                    waiting = None if self._queue.empty() else self._queue.get()

    def _try(self, batch: Batch) -> StorageError | None:
        """Commit one batch; a failure is a value here, for whoever waits is the one to hear of it."""
        try:
            self._write(batch)
        except StorageError as error:
            return error
        return None

    def _tell(self, waiting: _Waiting, failure: StorageError | None) -> None:
        _, done, loop = waiting
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._settle, done, failure)

    def _settle(self, done: "asyncio.Future[None]", failure: StorageError | None) -> None:
        self._outstanding -= 1
        if done.done():                        # whoever waited was cancelled
            return
        if failure is None:
            done.set_result(None)
        else:
            done.set_exception(failure)

    def close(self) -> None:
        """Finish what waits, then take nothing more. The store stays open. Raises StorageError when the disk hangs."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join(_CLOSE_S)
            if thread.is_alive():
                self.failure = f"the disk has not answered for {_CLOSE_S:.0f} s"
                raise StorageError(f"closing the journal failed: {self.failure}")
        self.failure = self.failure or "the journal's writer was closed"
