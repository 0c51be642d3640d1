"""Everything the core is told once: instruments, sessions, lanes, strategies, checks. Built by `config.build`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from interlock.decisions.alerts.convert import ExitProfile
from interlock.decisions.stage import Seat
from interlock.engine.throttles import ThrottleRules
from interlock.execution.state import AccountProfile, HardClose
from interlock.gate.registry import Registry
from interlock.model.calendar import SessionTable
from interlock.model.ids import AccountName, LaneName, StrategyName
from interlock.model.instrument import Instrument
from interlock.model.limits import SafeLimits
from interlock.model.money import MINUTE, Nanos
from interlock.routing.stage import LaneRoute


@dataclass(frozen=True)
class AccountSetup:
    """One account as the core needs it."""

    profile: AccountProfile
    limits: SafeLimits                 # SafeBroker's, as published to sizing
    currency: str
    number: str = ""                   # by which the broker must name it; "": any
    broker: str = ""                   # accounts of one broker could meet each other's orders
    latency: Nanos = 0                 # that the venue is configured to add to every acknowledgement


@dataclass(frozen=True)
class LaneSetup:
    """One lane as the core needs it."""

    route: LaneRoute
    detector: str                      # "structure" or "none"
    profiles: Mapping[StrategyName, ExitProfile]
    holds_overnight: bool = False      # its positions need not be gone when the session ends
    instruments: tuple[str, ...] = ()  # that its alerts trade; those of its bar strategies stand with their seats


@dataclass(frozen=True)
class Setup:
    """The core's whole knowledge of its configuration. Never changes while an engine lives."""

    state_id: str
    mode: str
    clock: str                         # wall, playback or virtual
    config_digest: str
    config_epoch: int
    instruments: Mapping[str, Instrument]
    sessions: Mapping[str, SessionTable]           # by instrument
    accounts: Mapping[AccountName, AccountSetup]
    lanes: Mapping[LaneName, LaneSetup]
    seats: tuple[Seat, ...]
    watched: tuple[tuple[str, Nanos], ...]         # (instrument, bar length) with features and a regime
    columns: tuple[str, ...]                       # the feature columns of each
    registry: Registry
    releases: tuple[tuple[str, Nanos], ...] = ()   # the calendar of releases; none: there is no calendar
    hard_close_buffer: Nanos = 2 * MINUTE          # before the session's own end; by then the exit has begun
    throttle: ThrottleRules = field(default_factory=ThrottleRules)

    @property
    def hard_close(self) -> HardClose:
        """When what is held intraday must be gone, and where."""
        intraday = [lane for lane in self.lanes.values() if not lane.holds_overnight]
        return HardClose(
            buffer=self.hard_close_buffer, cut_off=self.registry.rules.time_window.before_flat_min,
            overnight=frozenset(name for name, lane in self.lanes.items() if lane.holds_overnight),
            accounts=frozenset(each.account for lane in intraday for each in lane.route.accounts))
