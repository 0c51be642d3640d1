"""Which checks are asked, and in what order. The list is code; configuration supplies numbers only."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from interlock.gate.check import Check
from interlock.gate.exits.identity import ExitAccount
from interlock.gate.exits.person import PersonDecided
from interlock.gate.exits.position import ReducesPosition
from interlock.gate.exits.zero import NeverCrossesZero
from interlock.gate.guards.concentration import DirectionalConcentration
from interlock.gate.guards.data_quality import DataQuality
from interlock.gate.guards.day_type import DayType
from interlock.gate.guards.degradation import Degradation
from interlock.gate.guards.liquidity import Liquidity
from interlock.gate.guards.position_count import PositionCount
from interlock.gate.guards.reentry import ReentryCooldown
from interlock.gate.guards.risk_limits import RiskLimits
from interlock.gate.guards.slippage import EntrySlippage
from interlock.gate.guards.table import APPLIES, Inapplicable
from interlock.gate.guards.time_window import TimeWindow
from interlock.gate.guards.trajectory import TrajectoryAlignment
from interlock.gate.orders.account import AccountOpen
from interlock.gate.orders.bracket import BracketSides
from interlock.gate.orders.collar import Collar, WideCollar
from interlock.gate.orders.definition import DefinitionFits
from interlock.gate.orders.duplicate import SignalOnce
from interlock.gate.orders.grid import TickAndLot
from interlock.gate.orders.instrument import InstrumentAllowed
from interlock.gate.orders.kill import KillLatch
from interlock.gate.orders.margin import MarginCap
from interlock.gate.orders.opposite import NoReversal
from interlock.gate.orders.provenance import PriceProvenance
from interlock.gate.orders.rate import OrderRate
from interlock.gate.orders.self_trade import NoSelfTrade
from interlock.gate.orders.strategy import StrategyOn
from interlock.gate.orders.tier import TierOpens
from interlock.gate.orders.truth import TruthFits
from interlock.gate.orders.value import ValueRate
from interlock.gate.orders.window import PriceWindow
from interlock.gate.phases.balance import Balance
from interlock.gate.phases.connection import Connection
from interlock.gate.phases.daily_loss import DailyLoss
from interlock.gate.phases.regime import RegimeConditions
from interlock.gate.phases.size_confirmed import SizeConfirmed
from interlock.gate.rules import rule_checks
from interlock.gate.sizing import SizingRules
from interlock.model.order import Profile
from interlock.model.signal import Source


@dataclass(frozen=True)
class GateRules:
    """All numbers of the gate. A field holds a check's numbers; no field switches a check off."""

    sizing: SizingRules = field(default_factory=SizingRules)
    connection: Connection = field(default_factory=Connection)
    balance: Balance = field(default_factory=Balance)
    daily_loss: DailyLoss = field(default_factory=DailyLoss)
    regime: RegimeConditions = field(default_factory=RegimeConditions)
    packs: tuple[str, ...] = ()
    time_window: TimeWindow = field(default_factory=TimeWindow)
    data_quality: DataQuality = field(default_factory=DataQuality)
    risk_limits: RiskLimits = field(default_factory=RiskLimits)
    position_count: PositionCount = field(default_factory=PositionCount)
    directional_concentration: DirectionalConcentration = field(default_factory=DirectionalConcentration)
    entry_slippage: EntrySlippage = field(default_factory=EntrySlippage)
    trajectory_alignment: TrajectoryAlignment = field(default_factory=TrajectoryAlignment)
    degradation: Degradation = field(default_factory=Degradation)
    liquidity: Liquidity = field(default_factory=Liquidity)
    reentry_cooldown: ReentryCooldown = field(default_factory=ReentryCooldown)
    day_type: DayType = field(default_factory=DayType)
    definition: DefinitionFits = field(default_factory=DefinitionFits)
    collar: Collar = field(default_factory=Collar)
    price_window: PriceWindow = field(default_factory=PriceWindow)
    value_rate: ValueRate = field(default_factory=ValueRate)
    margin: MarginCap = field(default_factory=MarginCap)
    order_rate: OrderRate = field(default_factory=OrderRate)
    exit_position: ReducesPosition = field(default_factory=ReducesPosition)
    wide_collar: WideCollar = field(default_factory=WideCollar)


class Checks(tuple[Check, ...]):
    """A complete ordered list of checks that knows its own digest."""

    @cached_property
    def digest(self) -> str:
        return registry_digest(self)


def checks_for(profile: Profile, source: Source, rules: GateRules) -> Checks:
    """Everything that is asked of an order of this profile and source, in order."""
    if profile is Profile.ENTER:
        return Checks(_enter(source, rules))
    exits: tuple[Check, ...] = (
        ExitAccount(), rules.exit_position, NeverCrossesZero(), TickAndLot(), rules.wide_collar)
    return Checks((PersonDecided(), *exits) if profile is Profile.FLATTEN else exits)


def registry_digest(checks: Iterable[Check]) -> str:
    """SHA-256 over the names in order, hex."""
    return hashlib.sha256("\n".join(check.name for check in checks).encode()).hexdigest()


class Registry:
    """The lists of one configuration, made once."""

    def __init__(self, rules: GateRules) -> None:
        self.rules = rules
        self._lists = {(profile, source): checks_for(profile, source, rules)
                       for profile in Profile for source in Source}

    def checks(self, profile: Profile, source: Source) -> Checks:
        return self._lists[profile, source]


def _enter(source: Source, rules: GateRules) -> tuple[Check, ...]:
    return (
        KillLatch(), TruthFits(), AccountOpen(), StrategyOn(), TierOpens(),
        rules.connection, rules.balance, rules.daily_loss, rules.regime, SizeConfirmed(rules.sizing),
        *rule_checks(rules.packs),
        *(guard if source in APPLIES[guard.name] else Inapplicable(guard.name, source) for guard in _guards(rules)),
        InstrumentAllowed(), rules.definition, NoReversal(), NoSelfTrade(), TickAndLot(), BracketSides(), rules.collar,
        rules.price_window, SignalOnce(), rules.order_rate, rules.value_rate, rules.margin, PriceProvenance())


def _guards(rules: GateRules) -> tuple[Check, ...]:
    """The eleven, in their order. Guard 9 judges by the record limits that sizing reads."""
    return (
        rules.time_window, rules.data_quality, rules.risk_limits, rules.position_count, rules.directional_concentration,
        rules.entry_slippage, rules.trajectory_alignment, rules.day_type,
        Degradation(rules.sizing.record, rules.degradation.rest), rules.liquidity, rules.reentry_cooldown)
