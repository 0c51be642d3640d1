"""Files as chunks of columns, whole or refused: Parquet and CSV are read piece by piece and never loaded whole."""

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from interlock.errors import InputError

Ints = npt.NDArray[np.int64]

ROWS_PER_CHUNK: Final = 65_536
_BLOCK: Final = 1 << 20
_CSV_BLOCK: Final = 1 << 20                 # Arrow reads some thirty of these ahead
_NOTHING: Final = ["", "null", "NULL", "None", "NA", "N/A", "<NA>"]


class Chunk(NamedTuple):
    """Rows as they stand in the file: their numbers (the first row of data is 1) and one Arrow array per column."""

    rows: Ints
    columns: dict[str, Any]


class Source(Protocol):
    """One file. `chunks` may be asked again and gives the same; `broken_rows` are those that have no columns at all."""

    file: str
    columns: Sequence[str]
    metadata: dict[str, str]
    digest: str
    broken_rows: list[int]

    def chunks(self, wanted: Sequence[str], first: int = 1, last: int | None = None) -> Iterator[Chunk]:
        """The rows numbered `first` to `last`, in order. Raises InputError where the file cannot be read."""
        ...


def open_source(path: Path) -> Source:
    """A source by the ending of its name. Raises InputError for a missing, foreign, empty, truncated or broken file."""
    name = path.name.lower()
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    if name.endswith(".parquet"):
        return ParquetSource(path)
    if name.endswith((".csv", ".csv.gz")):
        return CsvSource(path)
    raise InputError(f"{path}: expected a file that ends in .parquet, .csv or .csv.gz")


class _Unchanged:
    """A file that must stay as it was while it is used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = str(path)
        self._stamp = self._look()

    def check(self) -> None:
        if self._look() != self._stamp:
            raise InputError(f"{self.file}: the file has changed since it was opened")

    def _look(self) -> tuple[int, int]:
        try:
            status = self.path.stat()
        except OSError as error:
            raise InputError(f"{self.file}: cannot be read: {error}") from error
        return status.st_size, status.st_mtime_ns


class ParquetSource:
    """A Parquet file, row group by row group; its schema metadata names the instrument."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._unchanged = _Unchanged(path)
        self.file = str(path)
        self.broken_rows: list[int] = []
        self._failures = (pa.ArrowException, OSError)
        try:
            with path.open("rb") as stream:
                self.digest = hashlib.file_digest(stream, "sha256").hexdigest()
            with pq.ParquetFile(path) as parquet:
                schema = parquet.schema_arrow
                groups = [parquet.metadata.row_group(i).num_rows for i in range(parquet.metadata.num_row_groups)]
        except self._failures as error:
            raise InputError(f"{path}: truncated, or no Parquet file: {error}") from error
        self.columns: Sequence[str] = list(schema.names)
        self.metadata = _text(schema.metadata)
        self._starts = [1, *(1 + np.cumsum(groups, dtype=np.int64)).tolist()]

    def chunks(self, wanted: Sequence[str], first: int = 1, last: int | None = None) -> Iterator[Chunk]:
        import pyarrow.parquet as pq

        self._unchanged.check()
        end = self._starts[-1] - 1 if last is None else last
        groups = [i for i in range(len(self._starts) - 1) if self._starts[i] <= end and self._starts[i + 1] > first]
        if not groups:
            return
        row = self._starts[groups[0]]
        try:
            with pq.ParquetFile(self._unchanged.path, buffer_size=_BLOCK, pre_buffer=False) as parquet:
                for batch in parquet.iter_batches(ROWS_PER_CHUNK, row_groups=groups, columns=list(wanted)):
                    rows = np.arange(row, row + batch.num_rows, dtype=np.int64)
                    row += batch.num_rows
                    chunk = _cut(rows, {name: batch.column(name) for name in wanted}, first, end)
                    if chunk is not None:
                        yield chunk
        except self._failures as error:
            raise InputError(f"{self.file}: damaged near row {row}: {error}") from error


class CsvSource:
    """A CSV file with a header line, plain or gzipped; every cell is read as text and judged later, cell by cell."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self._unchanged = _Unchanged(path)
        self.file = str(path)
        self.metadata: dict[str, str] = {}
        self.broken_rows: list[int] = []
        self._failures = (pa.ArrowException, OSError)
        self.digest = self._look_through(path)
        self.columns: Sequence[str] = self._header(path)

    def _look_through(self, path: Path) -> str:
        """The digest of the file as it stands, once its text is known to be whole."""
        is_gzip = path.name.lower().endswith(".gz")
        ending = b""
        try:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                stream.seek(0)
                if is_gzip:
                    with gzip.GzipFile(fileobj=stream) as text:
                        while block := text.read(_BLOCK):
                            ending = block[-1:]
                else:
                    stream.seek(-1, io.SEEK_END)
                    ending = stream.read(1)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: truncated, or no gzip file: {error}") from error
        if ending not in (b"\n", b"\r"):
            raise InputError(f"{path}: truncated: the last line has no line end (end it with one if it is whole)")
        return digest

    def _header(self, path: Path) -> list[str]:
        opener = gzip.open if path.name.lower().endswith(".gz") else open
        try:
            with opener(path, "rt", encoding="utf-8-sig", newline="") as text:
                names = next(csv.reader(text), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path}: no CSV text: {error}") from error
        return [name.strip() for name in names]

    def chunks(self, wanted: Sequence[str], first: int = 1, last: int | None = None) -> Iterator[Chunk]:
        import pyarrow as pa
        import pyarrow.csv as pc

        self._unchanged.check()
        broken: list[int] = []

        def skip(row: Any) -> str:
            broken.append(row.number - 1)                # counted with the header there, without it here
            return "skip"

        read = 0
        try:
            reader = pc.open_csv(
                self._unchanged.path,
                read_options=pc.ReadOptions(use_threads=False, block_size=_CSV_BLOCK, skip_rows=1,
                                            column_names=list(self.columns)),
                parse_options=pc.ParseOptions(invalid_row_handler=skip),
                convert_options=pc.ConvertOptions(
                    column_types={name: pa.string() for name in wanted}, include_columns=list(wanted),
                    strings_can_be_null=True, quoted_strings_can_be_null=True, null_values=_NOTHING))
            with reader:
                for batch in reader:
                    rows = _numbers(read, batch.num_rows, broken)
                    read += batch.num_rows
                    chunk = _cut(rows, {name: batch.column(name) for name in wanted}, first, last)
                    if chunk is not None:
                        yield chunk
                    if last is not None and len(rows) and rows[-1] >= last:
                        return
        except self._failures as error:
            if "Empty CSV file" not in str(error):
                raise InputError(f"{self.file}: cannot be read near row {read + 1}: {error}") from error
        self.broken_rows = sorted(broken)


def _numbers(read: int, count: int, broken: Sequence[int]) -> Ints:
    """The row numbers of `count` kept rows after `read` kept ones, where the rows `broken` were skipped."""
    kept = np.arange(read + 1, read + count + 1, dtype=np.int64)
    if not broken:
        return kept
    thresholds = np.asarray(sorted(broken), dtype=np.int64) - np.arange(len(broken))
    return kept + np.searchsorted(thresholds, kept, side="right")


def _cut(rows: Ints, columns: dict[str, Any], first: int, last: int | None) -> Chunk | None:
    low = int(np.searchsorted(rows, first))
    high = len(rows) if last is None else int(np.searchsorted(rows, last, side="right"))
    if low >= high:
        return None
    if low == 0 and high == len(rows):
        return Chunk(rows, columns)
    return Chunk(rows[low:high], {name: column.slice(low, high - low) for name, column in columns.items()})


def _text(metadata: dict[bytes, bytes] | None) -> dict[str, str]:
    return {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in (metadata or {}).items()
            if key != b"ARROW:schema"}
