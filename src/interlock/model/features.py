"""A row of features as it travels between stages: values in one place, a quality per column, and when it was known."""

from collections.abc import Iterable
from math import isnan
from typing import Final

from msgspec import Struct

from interlock.errors import InputError
from interlock.model.market import Quality
from interlock.model.money import Nanos
from interlock.model.view import Feature

COLUMNS_MAX: Final = 62
"""The ready columns of a row are the bits of one int64."""


class Columns:
    """The names of a table's columns, in order; one object shared by all of its rows."""

    __slots__ = ("index", "names")

    def __init__(self, names: tuple[str, ...]) -> None:
        if len(names) > COLUMNS_MAX:
            raise InputError(f"a feature table holds at most {COLUMNS_MAX} columns, found {len(names)}")
        self.names = names
        self.index = {name: position for position, name in enumerate(names)}
        if len(self.index) != len(names):
            raise InputError(f"a feature table names each column once, found {', '.join(names)}")

    def mask(self, names: Iterable[str]) -> int:
        """One bit per named column. Raises InputError for a name that the table does not have."""
        bits = 0
        for name in names:
            if name not in self.index:
                raise InputError(f"no feature column {name!r}; the table has {', '.join(self.names)}")
            bits |= 1 << self.index[name]
        return bits


class FeatureRow(Struct, frozen=True, eq=False):
    """One step of one table. Values in price units where the column is a price; nan only where the quality says so.

    `ready` has a bit per column that has its warm-up behind it; `bar_quality` is that of the bar it was made from.
    """

    columns: Columns
    instrument: str
    timeframe: Nanos
    ts_event: Nanos
    ts_known: Nanos
    ready: int
    bar_quality: Quality
    values: list[float]

    def __getitem__(self, name: str) -> float:
        """The value of a column. Raises KeyError for a name that the table does not have."""
        return self.values[self.columns.index[name]]

    def __contains__(self, name: object) -> bool:
        return name in self.columns.index

    def quality(self, name: str) -> Quality:
        """WARMUP until the column has its warm-up behind it, then the quality of the bar; MISSING for no column."""
        position = self.columns.index.get(name)
        if position is None:
            return Quality.MISSING
        if not self.ready >> position & 1:
            return Quality.WARMUP
        return Quality(self.bar_quality)

    def is_ready(self, names: Iterable[str], *, is_synth_ok: bool = False) -> bool:
        """Whether every named column is OK (or SYNTH, where that will do)."""
        return self.first_unready(names, is_synth_ok=is_synth_ok) is None

    def first_unready(self, names: Iterable[str], *, is_synth_ok: bool = False) -> str | None:
        """The first of the named columns that may not be decided upon, None if there is none."""
        limit = Quality.SYNTH if is_synth_ok else Quality.OK
        for name in names:
            if self.quality(name) > limit:
                return name
        return None

    def feature(self, name: str) -> Feature:
        """The column as a verdict holds it; nan travels as None."""
        position = self.columns.index.get(name)
        value = None if position is None or isnan(self.values[position]) else self.values[position]
        return Feature(name, value, self.quality(name), self.ts_known)
