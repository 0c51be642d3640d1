"""A disk that can lose power: a file layer under the real SQL engine that writes down what it is told, and the states
in which a real file system could leave the files when the power goes at any point of that list.

The product's store runs unchanged on a connection of apsw through this layer. The states are then opened with the
standard library's engine, as a desk does after a crash.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import apsw

SUFFIXES = ("", "-wal", "-journal")
CUTS = (1, 24, 512)                    # where a write is torn, besides its middle and its end


class Op(NamedTuple):
    """One thing that the engine asked of the disk."""

    kind: str                          # write, truncate, sync, delete
    file: str                          # suffix of the journal's name
    offset: int = 0
    data: bytes = b""


class Recorder:
    """The log of one run, and where in it each commit was acknowledged."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.ops: list[Op] = []
        self.acknowledged: list[tuple[int, int]] = [(0, 0)]        # length of the log, last entry
        self.synchronous = ""          # what the engine does whatever the store asks for; "": as it is asked
        self.checkpoint = 14           # pages in the log after which it is folded in
        recorder = self

        class Layer(apsw.VFS):
            def __init__(self) -> None:
                super().__init__(name, "")

            def xOpen(self, filename: Any, flags: list[int]) -> "File":
                return File(filename, flags)

            def xDelete(self, filename: str, syncdir: bool) -> None:
                recorder.note("delete", filename)
                super().xDelete(filename, syncdir)

        class File(apsw.VFSFile):
            def __init__(self, filename: Any, flags: list[int]) -> None:
                self._name = filename.filename() if isinstance(filename, apsw.URIFilename) else str(filename)
                super().__init__("", filename, flags)

            def xWrite(self, data: bytes, offset: int) -> None:
                recorder.note("write", self._name, offset, bytes(data))
                super().xWrite(data, offset)

            def xTruncate(self, size: int) -> None:
                recorder.note("truncate", self._name, size)
                super().xTruncate(size)

            def xSync(self, flags: int) -> None:
                recorder.note("sync", self._name)

        self.layer = Layer()
        self._name = name

    def note(self, kind: str, filename: str, offset: int = 0, data: bytes = b"") -> None:
        if filename.startswith(str(self.path)):
            suffix = filename.removeprefix(str(self.path))
            self.ops.append(Op(kind, suffix, offset, data))

    def acknowledge(self, seq: int) -> None:
        self.acknowledged.append((len(self.ops), seq))

    def connect(self, path: Path, mode: str) -> "Engine":
        return Engine(self, path, self._name)


class Engine:
    """An apsw connection in the standard library's clothes. The log is indexed in memory (exclusive locking), for the
    layer has no shared memory; what goes to the disk is the same. It lies about `synchronous` when it is told to."""

    def __init__(self, recorder: Recorder, path: Path, layer: str) -> None:
        self._recorder = recorder
        self._connection = apsw.Connection(str(path), vfs=layer)
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {recorder.checkpoint}")

    def execute(self, sql: str, parameters: tuple[object, ...] = ()) -> Any:
        if self._recorder.synchronous and sql.startswith("PRAGMA synchronous"):
            asked = f"PRAGMA synchronous = {self._recorder.synchronous}" if "=" in sql else "SELECT 2"
            return self._connection.execute(asked)
        return self._connection.execute(sql, parameters)

    def close(self) -> None:
        self._connection.close()


class State(NamedTuple):
    """The files as a crash left them (None: not there), and what had been acknowledged by then."""

    files: tuple[bytes | None, ...]
    acknowledged: int


def states(start: dict[str, bytes], recorder: Recorder) -> Iterator[State]:
    """Every permitted state after a crash at every point, each once."""
    seen: set[tuple[object, ...]] = set()
    for length in range(len(recorder.ops) + 1):
        acknowledged = max(seq for at, seq in recorder.acknowledged if at <= length)
        log = recorder.ops[:length]
        choices = [permitted(start.get(suffix), [op for op in log if op.file == suffix]) for suffix in SUFFIXES]
        for files in product(*choices):
            if files[0] is None:
                continue
            key = (acknowledged, *map(hash, files))
            if key not in seen:
                seen.add(key)
                yield State(files, acknowledged)


def permitted(start: bytes | None, ops: list[Op]) -> list[bytes | None]:
    """What one file may hold: all that was synced, then any prefix of the rest, its last write whole, cut, or so many
    zeros."""
    synced = max((number for number, op in enumerate(ops) if op.kind == "sync"), default=-1) + 1
    body = start
    for op in ops[:synced]:
        body = _apply(body, op)
    found = [body]
    for op in ops[synced:]:
        if op.kind == "write":
            size = len(op.data)
            cuts = sorted(cut for cut in {*CUTS, size // 2, size - 1} if 0 < cut < size)
            found.extend(_apply(body, op._replace(data=op.data[:cut])) for cut in cuts)
            found.append(_apply(body, op._replace(data=bytes(size))))
        body = _apply(body, op)
        found.append(body)
    return found


def _apply(body: bytes | None, op: Op) -> bytes | None:
    match op.kind:
        case "write":
            before = (body or b"").ljust(op.offset, b"\0")
            return before[:op.offset] + op.data + before[op.offset + len(op.data):]
        case "truncate":
            return (body or b"")[:op.offset].ljust(op.offset, b"\0")
        case "delete":
            return None
    return body
