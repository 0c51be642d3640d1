"""Everything the core is told once: instruments, sessions, lanes, strategies, checks. Built by `config.build`."""

from collections.abc import Mapping
from dataclasses import dataclass

from interlock.decisions.alerts.convert import ExitProfile
from interlock.decisions.stage import Seat
from interlock.execution.state import AccountProfile
from interlock.gate.registry import Registry
from interlock.model.calendar import SessionTable
from interlock.model.ids import AccountName, LaneName, StrategyName
from interlock.model.instrument import Instrument
from interlock.model.limits import SafeLimits
from interlock.model.money import Nanos
from interlock.routing.stage import LaneRoute


@dataclass(frozen=True)
class AccountSetup:
    """One account as the core needs it."""

    profile: AccountProfile
    limits: SafeLimits                 # SafeBroker's, as published to sizing
    currency: str


@dataclass(frozen=True)
class LaneSetup:
    """One lane as the core needs it."""

    route: LaneRoute
    detector: str                      # "structure" or "none"
    profiles: Mapping[StrategyName, ExitProfile]


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
