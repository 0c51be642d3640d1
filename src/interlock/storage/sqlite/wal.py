"""What lies in a write-ahead log behind its last commit: the torn tail that SQLite drops by itself when it opens.

SQLite says nothing about it, so it is looked at before opening. Only frame headers are read, and the pages of the last
transaction, whose checksums tell a commit from a torn one (the format: https://www.sqlite.org/fileformat2.html#walformat).
"""

import struct
from pathlib import Path
from typing import Final

_HEADER: Final = struct.Struct(">IIIIIIII")
_FRAME: Final = struct.Struct(">IIIIII")
_MAGIC: Final = (0x377F0682, 0x377F0683)


def torn_bytes(wal: Path) -> int:
    """Bytes of frames behind the last whole commit; 0 where there is no log. Beside a running writer these may be a
    commit in progress."""
    try:
        body = wal.read_bytes()
    except FileNotFoundError:
        return 0
    if len(body) < _HEADER.size:
        return len(body)
    magic, _, page_size, _, salt1, salt2, sum1, sum2 = _HEADER.unpack_from(body)
    if magic not in _MAGIC:
        return len(body)
    order = ">" if magic & 1 else "<"
    step = _FRAME.size + int(page_size)
    sums: list[tuple[int, int]] = [(sum1, sum2)]       # as the headers have them, so that any frame can be checked
    commits = [0]                                      # numbers of frames up to and with each commit
    at = _HEADER.size
    while at + step <= len(body):
        _, pages, found1, found2, frame1, frame2 = _FRAME.unpack_from(body, at)
        if (found1, found2) != (salt1, salt2):
            break                      # left over from before the log began anew
        sums.append((frame1, frame2))
        if pages:
            commits.append(len(sums) - 1)
        at += step
    is_cut = at < len(body) < at + step and _has_salt(body[at:at + 16], salt1, salt2)
    whole = _last_commit(body, step, sums, commits, order)
    return (len(body) if is_cut else at) - (_HEADER.size + whole * step)


def _last_commit(body: bytes, step: int, sums: list[tuple[int, int]], commits: list[int], order: str) -> int:
    """Number of frames up to and with the last commit whose pages fit their checksums; only what follows the commit
    before it is computed, for that one was synced."""
    whole = commits[-2] if len(commits) > 1 else 0
    for number in range(whole, len(sums) - 1):
        start = _HEADER.size + number * step
        page = body[start + _FRAME.size:start + step]
        if _checksum(body[start:start + 8] + page, sums[number], order) != sums[number + 1]:
            break
        if number + 1 == commits[-1]:
            whole = commits[-1]
    return whole


def _has_salt(head: bytes, salt1: int, salt2: int) -> bool:
    return len(head) < 16 or struct.unpack(">II", head[8:16]) == (salt1, salt2)


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = sums
    for a, b in struct.iter_unpack(f"{order}II", data):
        first = (first + a + second) & 0xFFFFFFFF
        second = (second + b + first) & 0xFFFFFFFF
    return first, second
