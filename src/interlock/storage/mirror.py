"""What happened, for people and their scripts: `orders.jsonl` and `trades.jsonl`, one JSON object per line.

Mirrors are written from committed entries, are never read by the desk, and can be made anew from the journal any time.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias, get_args

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from interlock.model.account import ClosedTrade
from interlock.model.command import Killed, Released
from interlock.model.entry import Payload, Raw
from interlock.model.fallbacks import WARNING, fallback
from interlock.model.money import SECOND, Nanos
from interlock.model.order import Order
from interlock.model.record import Attempt, FallbackUsed
from interlock.model.report import OrderReport, WriteRefused
from interlock.model.verdict import Refused, Verdict
from interlock.storage.chain import Kept
from interlock.storage.files import PRIVATE, rename, sync_file

Line: TypeAlias = tuple[int, Nanos, Payload]
"""seq, engine time and payload of one entry."""

ORDERS: Final = "orders.jsonl"
TRADES: Final = "trades.jsonl"
_KINDS: Final = (Attempt, Verdict, Killed, Released, ClosedTrade, *get_args(OrderReport))
_MIRRORED: Final = frozenset(_KINDS)
_TAGS: Final = frozenset(str(kind.__struct_config__.tag) for kind in _KINDS)
_ATTEMPTS_MAX: Final = 4096            # orders remembered so that a refused write can be shown whole
_TAIL: Final = 1 << 20                 # no line is longer


class _Kind(Struct):
    type: str


_kind = msgspec.msgpack.Decoder(_Kind)
_encode = msgspec.json.Encoder(decimal_format="string").encode


class Mirror:
    """Appends to the two files of a directory. Nothing here is synced and nothing here may stop the desk: what goes
    wrong with the files is returned, None is well. After that nothing is appended, so that no line is missing
    in the middle, until `catch_up` or `rebuild` has brought the files to the journal's end."""

    def __init__(self, directory: Path | str) -> None:
        self._directory = Path(directory)
        self._attempts: dict[tuple[str, int], Order] = {}
        self._failure: FallbackUsed | None = None

    def add(self, entries: Iterable[Line]) -> FallbackUsed | None:
        """Append what belongs into the mirrors, in order."""
        if self._failure is None:
            try:
                self._put(self._files(), self._lines(entries))
            except OSError as error:
                self._failure = fallback("mirror.behind", WARNING, self._behind(error))
        return self._failure

    def _files(self) -> dict[str, Path]:
        return {name: self._directory / name for name in (ORDERS, TRADES)}

    def _behind(self, error: OSError) -> str:
        return f"{self._directory}: {ORDERS} and {TRADES} are behind the journal: {error.strerror}"

    def rebuild(self, store: Kept) -> FallbackUsed | None:
        """Make both files anew from the journal. Raises JournalDamaged."""
        self._attempts.clear()
        drafts = {name: self._directory / f"{name}.new" for name in (ORDERS, TRADES)}
        try:
            for draft in drafts.values():
                draft.unlink(missing_ok=True)
                _append(draft, b"")
            self._put(drafts, self._lines(_mirrored(store.raw())))
            for name, draft in drafts.items():
                sync_file(draft)
                rename(draft, self._directory / name)
        except OSError as error:
            self._failure = fallback(
                "mirror.behind", WARNING, f"{self._directory}: {ORDERS} and {TRADES} cannot be made: {error.strerror}")
            return self._failure
        self._failure = None
        return None

    def catch_up(self, store: Kept) -> FallbackUsed | None:
        """Append what was committed and not mirrored before a crash; a line that was cut off is written again. Raises
        JournalDamaged."""
        files = self._files()
        try:
            last = {name: _last_seq(path) for name, path in files.items()}
            lines = self._lines(_mirrored(store.raw(min(last.values()) + 1)))
            self._put(files, (line for line in lines if line[1] > last[line[0]]))
        except OSError as error:
            self._failure = fallback("mirror.behind", WARNING, self._behind(error))
        except msgspec.DecodeError as error:
            self._failure = fallback("mirror.unreadable", WARNING, f"{self._directory}: {ORDERS} or {TRADES} hold what is none "
                                     f"of ours ({error}); rebuild them")
        else:
            self._failure = None
        return self._failure

    def _lines(self, entries: Iterable[Line]) -> Iterator[tuple[str, int, bytes]]:
        """File, seq and bytes of each line."""
        for seq, ts, payload in entries:
            if type(payload) not in _MIRRORED:
                continue
            if (fields := self._fields(payload)) is not None:
                line = {"seq": seq, "ts": ts, "time": _spelled(ts), **fields}
                yield TRADES if isinstance(payload, ClosedTrade) else ORDERS, seq, _encode(line) + b"\n"

    def _fields(self, payload: Payload) -> dict[str, Any] | None:
        event = str(payload.__struct_config__.tag)
        match payload:
            case Attempt(client_order_id=client_order_id, attempt=attempt, order=order):
                self._attempts[client_order_id, attempt] = order
                if len(self._attempts) > _ATTEMPTS_MAX:
                    del self._attempts[next(iter(self._attempts))]
                return {"event": event, "account": order.account, **asdict(payload)}
            case Verdict(result=Refused() as refused):
                return {"event": "refused", "account": payload.account, "signal_id": payload.signal_id,
                        "profile": payload.profile, "code": refused.code, "reason": refused.reason,
                        "sized": refused.sized, "intent": payload.asked.intent}
            case Verdict():
                return None
            case WriteRefused(client_order_id=client_order_id, attempt=attempt):
                order_refused = self._attempts.pop((client_order_id, attempt), None)
                return {"event": event, **asdict(payload), "order": order_refused}
            case ClosedTrade():
                return {"event": event, **asdict(payload), "r_multiple": payload.r_multiple}
        return {"event": event, **asdict(payload)}

    @staticmethod
    def _put(files: dict[str, Path], lines: Iterable[tuple[str, int, bytes]]) -> None:
        waiting: dict[str, list[bytes]] = {name: [] for name in files}
        for name, _, line in lines:
            waiting[name].append(line)
        for name, path in files.items():
            if waiting[name]:
                _append(path, b"".join(waiting[name]))


def _mirrored(raws: Iterable[Raw]) -> Iterator[Line]:
    """The entries that a mirror may show; the others are not decoded."""
    for raw in raws:
        if _kind.decode(raw.payload).type in _TAGS:
            entry = raw.decode()
            yield entry.seq, entry.ts, entry.payload


def _spelled(ts: Nanos) -> str:
    seconds, rest = divmod(ts, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _append(path: Path, body: bytes) -> None:
    """Append all of `body` or nothing. Raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    try:
        size = os.fstat(handle).st_size
        if os.write(handle, body) != len(body):
            os.ftruncate(handle, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(handle)


def _last_seq(path: Path) -> int:
    """seq of the last whole line, 0 if there is none; what stands behind it is cut off. Raises OSError, DecodeError."""
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start = file.seek(max(0, size - _TAIL))
        tail = file.read()
        end = tail.rfind(b"\n") + 1
        file.truncate(start + end)
    lines = tail[:end].splitlines()
    return msgspec.json.decode(lines[-1], type=_Seq).seq if lines else 0


class _Seq(Struct):
    seq: int
