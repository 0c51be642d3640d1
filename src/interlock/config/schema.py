"""What may stand in interlock.toml, with the defaults that protect. No limit can be switched off.

Every field is one key of the file. Money, prices and quantities are decimal strings. A key that is not here is an error.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct, field

from interlock.errors import ConfigError
from interlock.model.instrument import INSTRUMENTS, Instrument, Kind
from interlock.model.market import TIMEFRAMES


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Desk(Section, frozen=True, kw_only=True):
    """Mode has no default: the desk does not guess."""

    mode: Literal["paper", "live"]
    snapshot_every: int = 20_000       # journal entries between two snapshots
    reconcile_seconds: int = 30

    def __post_init__(self) -> None:
        _positive("desk", self, "snapshot_every", "reconcile_seconds")


class Web(Section, frozen=True, kw_only=True):
    """Where the page and the hook listen. Host facts: they take no part in the digest of a run."""

    host: str = "127.0.0.1"
    port: int = 8700
    hook_port: int = 8701
    body_bytes_max: int = 16_384
    declared_proxies: tuple[str, ...] = ()   # addresses whose forwarding headers are believed, for the hook alone


class SimulatedFeed(Section, frozen=True, kw_only=True):
    """The simulated market: a pure function of seed and time."""

    seed: int = 7
    instruments: tuple[str, ...] = ("MNQ", "MES")


class Feeds(Section, frozen=True, kw_only=True):
    simulated: SimulatedFeed = field(default_factory=SimulatedFeed)


class PaperFault(Section, frozen=True, kw_only=True):
    """One fault of the paper venue, for rehearsal: the `nth` time that `on` happens (0: each time), `verb` strikes."""

    on: str
    verb: str
    nth: int = 1
    chance: float | None = None
    delay_ms: int = 0
    fraction: Decimal = Decimal("0.5")
    reason: str = "by plan"


class PaperDefinition(Section, frozen=True, kw_only=True):
    """What the paper venue tells of an instrument in the place of what it trades, for rehearsal. Times are ISO 8601 with zone."""

    tick: Decimal | None = None
    lot: Decimal | None = None
    multiplier: Decimal | None = None
    currency: str = ""
    expires: str = ""
    rolls: str = ""

    def __post_init__(self) -> None:
        for name in ("expires", "rolls"):
            self.ts_of(name)

    def ts_of(self, name: str) -> int | None:
        """The time under that name in nanoseconds UTC; None where there is none. Raises ConfigError."""
        text: str = getattr(self, name)
        if not text:
            return None
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            raise ConfigError(f"brokers: definitions: {name} must be a time with its zone, as 2026-12-18T08:30:00-06:00; "
                              f"found {text!r}")
        return int(at.timestamp()) * 1_000_000_000


class Broker(Section, frozen=True, kw_only=True):
    """One venue. `paper` is built in; `loopback` is the same venue in a process of its own (`interlock venue start paper`)."""

    kind: Literal["paper", "loopback"] = "paper"
    environment: Literal["paper", "live"] = "paper"    # which environment of the venue is meant; it has to say the same itself
    host: str = "127.0.0.1"            # of a loopback venue
    port: int = 0                      # of a loopback venue
    token: str = ""                    # name of a secret: what the engine says to a loopback venue
    rescue_token: str = ""             # name of a secret: what `interlock-kill` says to it; good for cancels and exits alone
    timeout_ms: int = 5_000            # how long a loopback venue may take to answer; then the outcome is unknown
    definitions: dict[str, PaperDefinition] = {}
    latency_ms: int = 250
    cancel_latency_ms: int | None = None       # None: as latency_ms
    has_native_brackets: bool = True
    has_replace: bool = True
    visibility_delay_ms: int = 0
    plan: tuple[PaperFault, ...] = ()
    plan_seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.latency_ms <= 60_000:
            raise ConfigError(f"brokers: latency_ms must be 0 to 60000, found {self.latency_ms}")
        if self.cancel_latency_ms is not None and not 0 <= self.cancel_latency_ms <= 60_000:
            raise ConfigError(f"brokers: cancel_latency_ms must be 0 to 60000, found {self.cancel_latency_ms}")
        if not 10 <= self.timeout_ms <= 60_000:
            raise ConfigError(f"brokers: timeout_ms must be 10 to 60000, found {self.timeout_ms}")
        if self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ConfigError(f"brokers: host must be a loopback address, found {self.host!r}")
        if self.kind == "loopback" and not (0 < self.port < 65_536 and self.token):
            raise ConfigError("brokers: a loopback venue needs port, as `interlock venue start paper` prints it, and token, the "
                              "name of the secret that stands in its trade.token")


class SafeLimits(Section, frozen=True, kw_only=True):
    """SafeBroker's own limits for one account; the gate has its own beside them. Paper defaults."""

    notional_per_order: Decimal = Decimal(50_000)
    shares_per_symbol: Decimal = Decimal(2_000)
    contracts_per_symbol: Decimal = Decimal(20)
    orders_per_minute: int = 60
    daily_loss: Decimal = Decimal(5_000)
    symbols: tuple[str, ...] = ()      # empty: every symbol of the account's lanes (paper only)

    def __post_init__(self) -> None:
        _positive("safe", self, "notional_per_order", "shares_per_symbol", "contracts_per_symbol", "orders_per_minute",
                  "daily_loss")


class Account(Section, frozen=True, kw_only=True):
    """One account at one broker. Usable only once the broker itself has named it."""

    broker: str
    number: str = ""                   # as the broker names it; required in live, compared wherever it is given
    balance: Decimal = Decimal(50_000) # what a new paper account starts with
    currency: str = "USD"
    symbols: tuple[str, ...] = ()      # empty: every symbol of its lanes
    groups: tuple[str, ...] = ()
    pair_may_rest: bool = False        # an emulated stop and target may both rest; the double fill is charged
    safe: SafeLimits = field(default_factory=SafeLimits)


class Group(Section, frozen=True, kw_only=True):
    """A set of accounts that can be closed to entries together."""

    is_open: bool = True
    symbols: tuple[str, ...] = ()


class BarStrategy(Section, frozen=True, kw_only=True):
    """A strategy that answers finished bars."""

    kind: str                          # its registered name
    instruments: tuple[str, ...]
    on_recordings: Literal["every_instrument", "configured"] = "every_instrument"
    bars: str = "1m"
    regimes: tuple[str, ...] = ()      # the regimes that phase 4 lets it enter in; empty: any known one
    params: dict[str, float | int | str | bool] = {}

    def __post_init__(self) -> None:
        if self.bars not in TIMEFRAMES:
            raise ConfigError(f"strategies: bars must be one of {', '.join(TIMEFRAMES)}, found {self.bars!r}")


class Window(Section, frozen=True, kw_only=True):
    """Minutes of the day in the exchange's zone, half open."""

    start: str
    end: str

    def __post_init__(self) -> None:
        for value in (self.start, self.end):
            self.minute_of(value)

    @staticmethod
    def minute_of(text: str) -> int:
        hours, _, minutes = text.partition(":")
        if not (hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60):
            raise ConfigError(f"window: expected HH:MM, found {text!r}")
        return int(hours) * 60 + int(minutes)


class AlertStrategy(Section, frozen=True, kw_only=True):
    """One configured row: alerts of this strategy, script and chart symbol mean this instrument."""

    strategy: str
    script_id: str
    source_symbol: str                 # as the chart has it: MES1!
    symbol: str                        # as the message has it
    instrument: str
    exit_profile: Literal["bracket", "alert"] = "bracket"
    window: Window | None = None
    fires: int | None = None           # a budget of fires; None: no budget
    stop_atrs: float | None = None     # computes a stop where the alert brings none


class Lane(Section, frozen=True, kw_only=True):
    """One scope of the desk: kinds and symbols, accounts, strategies."""

    accounts: tuple[str, ...]
    kinds: tuple[Literal["future", "share", "crypto"], ...] = ("future", "share", "crypto")
    symbols: tuple[str, ...] = ()      # narrower than its accounts'; empty: all of its kinds
    regime: Literal["structure", "none"] = "structure"
    strategies: dict[str, BarStrategy] = {}
    alerts: tuple[AlertStrategy, ...] = ()
    hook_token: str = ""               # name of a secret: the token in the URL of the hook
    hook_secret: str = ""              # name of a secret: what the alert's body must hold
    holds_overnight: bool = False      # true: the hard close leaves its positions alone


class Gate(Section, frozen=True, kw_only=True):
    """The numbers of the gate's checks. Which checks apply, and in what order, is code.

    Shares are of the account's equity; a limit is per account unless its name begins with `all_`.
    """

    risk_per_trade: Decimal = Decimal(120)         # planned loss at the stop, fees and slippage included
    slippage_ticks: int = 1                        # planned into the size of futures
    slippage_ticks_share: int = 1                  # ... of shares
    slippage_ticks_crypto: int = 100               # ... of crypto
    crypto_leverage_max: Decimal = Decimal(2)
    crypto_notional_min: Decimal = Decimal(10)     # the least order of the venue
    balance_min: Decimal = Decimal(1_000)          # equity and cash below it open nothing
    risk_share_max: Decimal = Decimal("0.02")      # of one trade
    open_risk_share_max: Decimal = Decimal("0.06") # of all that is open and pending
    daily_loss: Decimal = Decimal(1_000)           # the smaller of amount and share binds
    daily_loss_share: Decimal = Decimal("0.02")
    weekly_loss: Decimal = Decimal(2_500)          # the smaller of amount and share binds
    weekly_loss_share: Decimal = Decimal("0.05")
    losses_in_a_row_max: int = 6
    leverage_max: Decimal = Decimal(20)
    margin_share_max: Decimal = Decimal("0.50")    # after the trade, where the broker tells margin
    options_risk_max: Decimal = Decimal(120)       # of one trade of an options strategy
    options_daily_loss: Decimal = Decimal(360)
    options_losses_in_a_row_max: int = 3
    positions_max: int = 4
    positions_per_source_max: int = 2
    positions_per_underlying_max: int = 1
    group_positions_max: int = 2
    group_value_max: Decimal = Decimal(20)         # net value of a group, per equity
    same_direction_share: Decimal = Decimal("0.60")
    cooldown_minutes: int = 15                     # after a stop-out, same underlying and side
    opposite_wait_seconds: int = 60
    entries_per_day_max: int = 20                  # same underlying and side
    record_trades_min: int = 10                    # fewer closed trades of a source: half size
    record_mean_r_min: Decimal = Decimal("-0.25")  # of its last 20 closed trades
    record_profit_factor_min: Decimal = Decimal("0.70")
    record_hit_rate_expected: Decimal = Decimal("0.40")
    record_deviations: int = 2                     # that the hits may lie below the expected
    degraded_rest_minutes: int = 240               # how long a source that degraded is left alone
    before_flat_minutes: int = 10                  # that must be left before a position has to be flat
    hard_close_buffer_minutes: int = 2             # before the session's end, when what is held intraday goes out (1 to 30)
    event_minutes: int = 5                         # before and after a release
    fomc_minutes_before: int = 30
    fomc_minutes_after: int = 15
    quote_age_ms_max: int = 2_000
    feed_delay_ms_max: int = 2_000                 # from the venue's time to receipt, of live quotes
    clock_offset_ms_max: int = 250
    decision_age_ms_max: int = 3_000               # from a bar's decision to the judgement
    alert_age_ms_max: int = 30_000                 # from an alert to the judgement
    account_age_ms_max: int = 5_000
    feature_age_seconds_max: int = 90
    regime_age_minutes_max: int = 30
    trajectory_min: float = 0.15                   # along a continuation
    trajectory_reversal_min: float = -0.60         # along a reversal
    slippage_ticks_max: int = 2                    # expected, of bar strategies; the larger of this and the next binds
    slippage_stop_share_max: Decimal = Decimal("0.1")      # of the distance to the stop
    slippage_basis_points_max: Decimal = Decimal(10)       # expected, of alerts
    alert_distance_atrs_max: Decimal = Decimal("0.25")     # of the market from the alert's price
    slippage_median_factor: Decimal = Decimal("1.5")       # of the last ten fills, against what one entry is allowed
    spread_ticks_max: int = 2
    spread_basis_points_max: Decimal = Decimal(5)
    stop_spreads_min: Decimal = Decimal(3)         # of the stop from the quote
    collar_share: Decimal = Decimal("0.01")        # how far from the market an entry's limit may lie
    exit_collar_share: Decimal = Decimal("0.20")   # how far from the market its stop and target may lie
    window_seconds: int = 60                       # of the market's path that an entry is held against
    window_share: Decimal = Decimal("0.03")        # how far from its low and its high an entry may fill
    expiry_block_hours: int = 24                   # before a contract expires
    value_per_minute: Decimal = Decimal(1_000_000) # of the entries cleared within one
    exit_account_age_ms_max: int = 30_000          # of the broker's word that an exit goes by
    identical_rejects_max: int = 3                 # refusals of one kind, after which a strategy is off until a person enables it
    identical_rejects_minutes: int = 10
    executions_max: int = 20                       # entries of one strategy in one instrument, after which the same happens
    executions_minutes: int = 60
    all_daily_loss: Decimal = Decimal(10_000)
    all_orders_per_minute: int = 600
    all_notional: Decimal = Decimal(25_000_000)
    all_value_per_minute: Decimal = Decimal(25_000_000)

    def __post_init__(self) -> None:
        _positive("gate", self, *(name for name in self.__struct_fields__ if name not in _SIGNED))
        for name in ("slippage_ticks", "slippage_ticks_share", "slippage_ticks_crypto"):
            if getattr(self, name) < 0:
                raise ConfigError(f"gate.{name} must be zero or more, found {getattr(self, name)}")
        if not 1 <= self.hard_close_buffer_minutes <= 30:
            raise ConfigError(f"gate.hard_close_buffer_minutes must be 1 to 30, found {self.hard_close_buffer_minutes}")
        if not self.hard_close_buffer_minutes < self.before_flat_minutes:
            raise ConfigError(f"gate.before_flat_minutes ({self.before_flat_minutes}) must be above hard_close_buffer_minutes "
                              f"({self.hard_close_buffer_minutes}), or an entry would be closed as soon as it is made")
        for name in ("trajectory_min", "trajectory_reversal_min"):
            if not -1 <= getattr(self, name) <= 1:
                raise ConfigError(f"gate.{name} must be -1 to 1, found {getattr(self, name)}")
        if not self.record_mean_r_min.is_finite():
            raise ConfigError(f"gate.record_mean_r_min must be a finite number, found {self.record_mean_r_min}")
        for name, most in _AT_MOST.items():
            found = getattr(self, name)
            if not found <= most:
                raise ConfigError(f"gate.{name} must be at most {most}, found {found}: a safety limit cannot be switched off")


_SIGNED: Final = ("slippage_ticks", "slippage_ticks_share", "slippage_ticks_crypto", "trajectory_min",
                  "trajectory_reversal_min", "record_mean_r_min")
_AT_MOST: Final[dict[str, Decimal | int]] = {
    "risk_share_max": Decimal(1), "open_risk_share_max": Decimal(1), "daily_loss_share": Decimal(1),
    "weekly_loss_share": Decimal(1), "same_direction_share": Decimal(1), "margin_share_max": Decimal(1),
    "record_hit_rate_expected": Decimal(1), "collar_share": Decimal("0.02"), "exit_collar_share": Decimal("0.25"),
    "window_share": Decimal("0.05"), "window_seconds": 3_600, "clock_offset_ms_max": 1_000,
    "identical_rejects_max": 20, "executions_max": 1_000,
}
"""A share of one is all there is. Collar and window end where SafeBroker's own begin, a second is where the clock halts."""


class Release(Section, frozen=True, kw_only=True):
    """A release around which nothing is entered. `at` is ISO 8601 with its zone; FOMC in a name keeps it clear for longer."""

    name: str
    at: str

    def __post_init__(self) -> None:
        _ = self.ts

    @property
    def ts(self) -> int:
        """Nanoseconds UTC. Raises ConfigError."""
        try:
            at = datetime.fromisoformat(self.at)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            raise ConfigError(f"releases: at must be a time with its zone, as 2026-12-09T14:00:00-05:00; found {self.at!r}")
        return int(at.timestamp()) * 1_000_000_000


class InstrumentSpec(Section, frozen=True, kw_only=True):
    """An instrument of your own, or another spelling of a shipped one's numbers."""

    exchange: str
    kind: Literal["future", "share", "crypto"]
    increment: Decimal
    tick: Decimal
    multiplier: Decimal
    calendar: str
    lot: Decimal = Decimal(1)
    fee: Decimal = Decimal(0)
    parent: str = ""
    micro: str | None = None
    group: str = ""
    spread_ticks: int = 1
    quote_size: int = 50

    def build(self, symbol: str) -> Instrument:
        return Instrument(symbol=symbol, exchange=self.exchange, kind=Kind(self.kind), increment=self.increment,
                          tick=self.tick, multiplier=self.multiplier, lot=self.lot, calendar=self.calendar,
                          parent=self.parent or symbol, micro=self.micro, fee=self.fee, group=self.group or symbol,
                          spread_ticks=self.spread_ticks, quote_size=self.quote_size)


class Config(Section, frozen=True, kw_only=True):
    """The effective configuration, whole."""

    desk: Desk
    web: Web = field(default_factory=Web)
    feeds: Feeds = field(default_factory=Feeds)
    brokers: dict[str, Broker] = {}
    accounts: dict[str, Account] = {}
    groups: dict[str, Group] = {}
    lanes: dict[str, Lane] = {}
    gate: Gate = field(default_factory=Gate)
    instruments: dict[str, InstrumentSpec] = {}
    releases: tuple[Release, ...] = ()

    def __post_init__(self) -> None:
        _check_references(self)

    def table(self) -> dict[str, Instrument]:
        """Every instrument by symbol: the shipped table and the configured ones, which win."""
        return INSTRUMENTS | {symbol: spec.build(symbol) for symbol, spec in self.instruments.items()}


LIVE_LIMITS: Final = {"notional_per_order": "5000", "shares_per_symbol": "200", "contracts_per_symbol": "2",
                      "orders_per_minute": 10, "daily_loss": "500"}
"""What a live account has in the place of the defaults of `SafeLimits`."""
ENVIRONMENTS: Final = {"paper": ("paper",), "loopback": ("paper", "live")}
"""By kind of venue: what its endpoint may be."""
SIMULATORS: Final = ("paper", "loopback")
"""Kinds of venue without a real account behind them."""
HOST_SECTIONS: Final = ("web",)
"""Sections that say where a process runs and not what it decides; they take no part in the digest."""


def _positive(where: str, section: Section, *names: str) -> None:
    for name in names:
        value = getattr(section, name)
        if isinstance(value, Decimal) and not value.is_finite():
            raise ConfigError(f"{where}.{name} must be a finite number, found {value}")
        if not value > 0:
            raise ConfigError(f"{where}.{name} must be above zero, found {value}: a safety limit cannot be off")


def _check_references(config: Config) -> None:
    table = config.table()
    for name, account in config.accounts.items():
        if len(name.encode()) > 12:
            raise ConfigError(f"accounts.{name}: a name has at most 12 characters")
        if account.broker not in config.brokers:
            raise ConfigError(f"accounts.{name}.broker: no broker is called {account.broker!r}; "
                              f"configured: {', '.join(config.brokers) or 'none'}")
        for group in account.groups:
            if group not in config.groups:
                raise ConfigError(f"accounts.{name}.groups: no group is called {group!r}")
        _known_symbols(f"accounts.{name}.symbols", account.symbols, table)
    for symbol in config.instruments:
        if len(symbol.encode()) > 12:
            raise ConfigError(f"instruments.{symbol}: a symbol has at most 12 characters")
    _known_symbols("feeds.simulated.instruments", config.feeds.simulated.instruments, table)
    rows: set[tuple[str, str, str, str]] = set()
    exits: dict[tuple[str, str], tuple[str, float | None]] = {}
    regimes: dict[str, tuple[str, ...]] = {}
    for name, lane in config.lanes.items():
        if not lane.accounts:
            raise ConfigError(f"lanes.{name}.accounts: a lane needs an account")
        for account_name in lane.accounts:
            if account_name not in config.accounts:
                raise ConfigError(f"lanes.{name}.accounts: no account is called {account_name!r}; "
                                  f"configured: {', '.join(config.accounts) or 'none'}")
        _known_symbols(f"lanes.{name}.symbols", lane.symbols, table)
        for strategy_name, strategy in lane.strategies.items():
            _known_symbols(f"lanes.{name}.strategies.{strategy_name}.instruments", strategy.instruments, table)
            if regimes.setdefault(strategy_name, strategy.regimes) != strategy.regimes:
                raise ConfigError(f"lanes.{name}.strategies.{strategy_name}: another lane's {strategy_name} has other regimes; "
                                  "give one of them another name")
        for row in lane.alerts:
            _known_symbols(f"lanes.{name}.alerts", (row.instrument,), table)
            key = (name, row.strategy, row.script_id, row.source_symbol)
            if key in rows:
                raise ConfigError(f"lanes.{name}.alerts: the row {key[1:]} stands twice")
            rows.add(key)
            if exits.setdefault((name, row.strategy), (row.exit_profile, row.stop_atrs)) != (row.exit_profile, row.stop_atrs):
                raise ConfigError(f"lanes.{name}.alerts: two rows of strategy {row.strategy!r} have different exit_profile or "
                                  "stop_atrs; exits belong to the strategy, so give one of them another name")
        if lane.alerts and not (lane.hook_token and lane.hook_secret):
            raise ConfigError(f"lanes.{name}: a lane with alerts needs hook_token and hook_secret, the names of two secrets")
    _check_environments(config)


def _check_environments(config: Config) -> None:
    """Paper and live are never mixed: every account's endpoint is of the desk's mode, and a live account is spelled out."""
    mode = config.desk.mode
    for name, broker in config.brokers.items():
        if broker.environment not in ENVIRONMENTS[broker.kind]:
            raise ConfigError(f"brokers.{name}.environment: a venue of kind {broker.kind!r} is "
                              f"{ENVIRONMENTS[broker.kind][0]} alone; found {broker.environment!r}")
    for name, account in config.accounts.items():
        broker = config.brokers[account.broker]
        if broker.environment != mode:
            raise ConfigError(f"accounts.{name}.broker: desk.mode is {mode}, and brokers.{account.broker} points at a "
                              f"{broker.environment} endpoint; give the account a broker whose environment is {mode!r}")
        if mode == "live" and not account.number:
            raise ConfigError(f"accounts.{name}.number is missing: a live account is named by its full number, which the broker "
                              "and the person who confirms it have to give too")
        if mode == "live" and not account.safe.symbols:
            raise ConfigError(f"accounts.{name}.safe.symbols is missing: a live account trades the instruments on its list and "
                              "no others")
        _known_symbols(f"accounts.{name}.safe.symbols", account.safe.symbols, config.table())


def _known_symbols(where: str, symbols: tuple[str, ...], table: dict[str, Instrument]) -> None:
    for symbol in symbols:
        if symbol not in table:
            raise ConfigError(f"{where}: {symbol!r} has no definition; add [instruments.{symbol}] with exchange, kind, "
                              "increment, tick, multiplier and calendar")
