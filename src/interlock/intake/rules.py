"""What a lane accepts, as numbers and names: built by the configuration above, read by gates and guards."""

from typing import Final

from msgspec import Struct

from interlock.errors import ConfigError
from interlock.model.account import Mode
from interlock.model.ids import AccountName, LaneName, StrategyName
from interlock.model.instrument import Kind

GUARDS: Final = ("session_window", "fire_count")
"""The signal guards of a row that names none."""


class Refusal(Struct, frozen=True):
    """One gate's or guard's no: a code of the catalogue and a sentence."""

    code: str
    reason: str


class ExitProfile(Struct, frozen=True, kw_only=True):
    """Who decides on the exits of a position: whether a stop is computed where the alert has none, and whether later
    alerts own the target (the catastrophe stop always rests)."""

    name: str
    has_computed_stop: bool = False
    is_target_owned: bool = False


class Window(Struct, frozen=True):
    """Minutes of the day in the exchange's zone, [first, end); first > end runs over midnight."""

    first: int
    end: int

    def __post_init__(self) -> None:
        if not (0 <= self.first < 1440 and 0 <= self.end <= 1440 and self.first != self.end):
            raise ConfigError(f"window: expected two different minutes of the day, found {self.first} and {self.end}")

    def has(self, minute: int) -> bool:
        """Whether that minute lies inside.

        >>> Window(510, 900).has(510), Window(510, 900).has(900), Window(1020, 960).has(5)
        (True, False, True)
        """
        if self.first < self.end:
            return self.first <= minute < self.end
        return minute >= self.first or minute < self.end

    def __str__(self) -> str:
        return f"{self.first // 60:02}:{self.first % 60:02}-{self.end // 60:02}:{self.end % 60:02}"


class AlertRow(Struct, frozen=True, kw_only=True):
    """One configured source of alerts: which script on which chart speaks for which instrument.

    `source_symbol` is the chart's, with or without its exchange ("CME_MINI:MES1!", "MES1!"); `symbol` is what the alert
    calls it, `instrument` what that means here.
    """

    strategy: StrategyName
    script_id: str
    source_symbol: str
    symbol: str
    instrument: str
    kind: Kind
    exit_profile: ExitProfile
    window: Window | None = None       # None: the whole session
    fires: int | None = None           # budget of entries of the strategy; None: none is kept
    guards: tuple[str, ...] = GUARDS

    def __post_init__(self) -> None:
        if self.fires is not None and self.fires < 0:
            raise ConfigError(f"{self.strategy}: fires must be zero or more, found {self.fires}")
        for setting, guard in (("fires", "fire_count"), ("window", "session_window")):
            if getattr(self, setting) is not None and guard not in self.guards:
                raise ConfigError(f"{self.strategy}: {setting} is set and nothing reads it; expected {guard} in its "
                                  f"guards, found {', '.join(self.guards) or 'none'}")


class LaneRules(Struct, frozen=True, kw_only=True):
    """One lane as the intake knows it. `symbols` is its allow-list of instruments: empty allows none."""

    name: LaneName
    mode: Mode
    kinds: tuple[Kind, ...]
    symbols: tuple[str, ...]
    accounts: tuple[AccountName, ...]
    rows: tuple[AlertRow, ...]

    def __post_init__(self) -> None:
        seen: dict[tuple[str, str, str], AlertRow] = {}
        budgets: dict[str, int | None] = {}
        for row in self.rows:
            triple = (row.strategy, row.script_id, row.source_symbol)
            if triple in seen:
                raise ConfigError(f"lane {self.name}: two rows for strategy, script_id and source_symbol {triple}")
            seen[triple] = row
            if budgets.setdefault(row.strategy, row.fires) != row.fires:
                raise ConfigError(f"lane {self.name}: strategy {row.strategy} has rows with different fires; "
                                  "the budget belongs to the strategy")

    def rows_of(self, strategy: str) -> tuple[AlertRow, ...]:
        return tuple(row for row in self.rows if row.strategy == strategy)


def split_source(source_symbol: str) -> tuple[str, str, bool]:
    """Exchange ("" if none is given) without its mark of delay, ticker, and whether the data is delayed.

    >>> split_source("CME_MINI_DL:MES1!"), split_source("MES1!")
    (('CME_MINI', 'MES1!', True), ('', 'MES1!', False))
    """
    exchange, _, ticker = source_symbol.rpartition(":")
    for mark in ("_DLY", "_DL"):
        if exchange.endswith(mark):
            return exchange.removesuffix(mark), ticker, True
    return exchange, ticker, False


def is_same_source(configured: str, given: str) -> bool:
    """Whether an alert's source symbol is the row's: the exchange counts where the row names one, delay never."""
    exchange, ticker, _ = split_source(configured)
    given_exchange, given_ticker, _ = split_source(given)
    return ticker == given_ticker and exchange in ("", given_exchange)


def shown(value: object) -> str:
    """A value from outside as it may stand in a sentence: printable, at most 60 characters."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
