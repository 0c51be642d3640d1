"""From the frozen Config to the numbers that each room is handed. Rooms never see the configuration itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from interlock.brokers.paper.plan import Fault, Plan, Verb
from interlock.config import sessions
from interlock.config.schema import Account, BarStrategy, Broker, Config, Lane
from interlock.decisions import registry as strategies
from interlock.decisions.alerts.convert import ExitProfile
from interlock.decisions.stage import Seat
from interlock.engine.setup import AccountSetup, LaneSetup, Setup
from interlock.engine.throttles import ThrottleRules
from interlock.engine.view import GATE_FEATURES
from interlock.errors import ConfigError
from interlock.execution.state import AccountProfile
from interlock.gate.guards.concentration import DirectionalConcentration
from interlock.gate.guards.data_quality import DataQuality
from interlock.gate.guards.liquidity import Liquidity
from interlock.gate.guards.position_count import PositionCount
from interlock.gate.guards.reentry import ReentryCooldown
from interlock.gate.guards.risk_limits import RiskLimits
from interlock.gate.guards.trajectory import TrajectoryAlignment
from interlock.gate.orders.collar import Collar
from interlock.gate.orders.definition import DefinitionFits
from interlock.gate.orders.margin import MarginCap
from interlock.gate.orders.value import ValueRate
from interlock.gate.orders.window import PriceWindow
from interlock.gate.phases.balance import Balance
from interlock.gate.phases.connection import Connection
from interlock.gate.phases.daily_loss import DailyLoss
from interlock.gate.phases.regime import RegimeConditions
from interlock.gate.record import RecordRules
from interlock.gate.registry import GateRules, Registry
from interlock.gate.sizing import SizingRules
from interlock.intake import rules as intake
from interlock.intake.guards import discover
from interlock.intake.stage import Intake
from interlock.matching import Rules
from interlock.model.account import Mode
from interlock.model.calendar import SessionTable
from interlock.model.ids import AccountName, LaneName, StrategyName
from interlock.model.instrument import Kind
from interlock.model.limits import SafeLimits
from interlock.model.market import TIMEFRAMES
from interlock.model.money import MINUTE, SECOND, Nanos
from interlock.ports import Capabilities
from interlock.routing.stage import AccountRoute, GroupGate, LaneRoute

MILLISECOND = 1_000_000
ALWAYS_OPEN = "always_open"


def session_tables(config: Config, *, is_simulated: bool) -> Mapping[str, SessionTable]:
    """The sessions of every instrument; the simulated market has a calendar of its own that never closes."""
    table = config.table()
    if is_simulated:
        return dict.fromkeys(table, sessions.load(ALWAYS_OPEN))
    tables = {name: sessions.load(name) for name in dict.fromkeys(instrument.calendar for instrument in table.values())}
    return {symbol: tables[instrument.calendar] for symbol, instrument in table.items()}


def setup(config: Config, *, digest: str, epoch: int, state_id: str, clock: str, is_simulated: bool,
          fed: Sequence[tuple[str, Nanos]]) -> Setup:
    """The core's setup. `fed` names what the feed brings: instruments and their bar lengths.

    Raises ConfigError for a strategy, a parameter or a session table that there is not.
    """
    seats = tuple(_seats(config, fed, is_simulated=is_simulated))
    columns = tuple(dict.fromkeys((*(name for seat in seats for name in seat.strategy.needs.features), *GATE_FEATURES)))
    return Setup(
        state_id=state_id, mode=config.desk.mode, clock=clock, config_digest=digest, config_epoch=epoch,
        instruments=config.table(), sessions=session_tables(config, is_simulated=is_simulated),
        accounts={AccountName(name): _account(config, account) for name, account in config.accounts.items()},
        lanes={LaneName(name): _lane(config, name, lane) for name, lane in config.lanes.items()},
        releases=tuple(sorted((release.name, release.ts) for release in config.releases)),
        seats=seats, watched=tuple(fed), columns=columns, registry=Registry(gate_rules(config)),
        hard_close_buffer=config.gate.hard_close_buffer_minutes * MINUTE, throttle=throttle_rules(config))


def _seats(config: Config, fed: Sequence[tuple[str, Nanos]], *, is_simulated: bool) -> list[Seat]:
    table, lengths = config.table(), dict(fed)
    seats = []
    for lane_name, lane in config.lanes.items():
        for name, entry in lane.strategies.items():
            strategy = strategies.build(entry.kind, entry.params)
            chosen = [symbol for symbol in entry.instruments if symbol in lengths]
            if fed and is_simulated:
                _check_simulated(f"lanes.{lane_name}.strategies.{name}", entry, lengths)
            if not is_simulated and entry.on_recordings == "every_instrument":
                chosen = [symbol for symbol in lengths if table[symbol].kind.value in lane.kinds]
            for symbol in chosen:
                # A recording is used with the bars it has; a feed is asked for those of the configuration.
                length = TIMEFRAMES[entry.bars] if is_simulated else lengths[symbol]
                seats.append(Seat(LaneName(lane_name), StrategyName(name), strategy, table[symbol], length))
    return seats


def _check_simulated(where: str, entry: BarStrategy, lengths: Mapping[str, Nanos]) -> None:
    """A strategy that the simulated market would never ask is a mistake, not a quiet day. Raises ConfigError."""
    absent = [symbol for symbol in entry.instruments if symbol not in lengths]
    if absent:
        raise ConfigError(f"{where}.instruments: {', '.join(absent)} is not in feeds.simulated.instruments and would never trade")
    if TIMEFRAMES[entry.bars] not in lengths.values():
        raise ConfigError(f'{where}.bars: the simulated market makes bars of "1m", found {entry.bars!r}')


def _account(config: Config, account: Account) -> AccountSetup:
    broker = config.brokers[account.broker]
    capabilities = Capabilities(has_native_brackets=broker.has_native_brackets, has_replace=broker.has_replace,
                                visibility_delay=broker.visibility_delay_ms * MILLISECOND)
    return AccountSetup(profile=AccountProfile(capabilities=capabilities, pair_may_rest=account.pair_may_rest),
                        limits=limits(account), currency=account.currency, broker=account.broker,
                        number=account.number, latency=broker.latency_ms * MILLISECOND)


def limits(account: Account) -> SafeLimits:
    """SafeBroker's limits of one account. The value of a contract is that of the dearest future at its present price."""
    safe = account.safe
    return SafeLimits(notional_per_order=safe.notional_per_order, shares_per_symbol=safe.shares_per_symbol,
                      contracts_per_symbol=safe.contracts_per_symbol, orders_per_minute=safe.orders_per_minute,
                      daily_loss=safe.daily_loss, symbols=safe.symbols)


def matching_rules(broker: Broker) -> Rules:
    """The paper venue's fill rules with the configured latency."""
    cancels = broker.latency_ms if broker.cancel_latency_ms is None else broker.cancel_latency_ms
    return Rules(latency=broker.latency_ms * MILLISECOND, cancel_latency=cancels * MILLISECOND)


def faults(broker: Broker) -> Plan | None:
    """The paper venue's fault plan; None where nothing is planned. Raises ConfigError for a verb that there is not."""
    if not broker.plan:
        return None
    planned = []
    for line in broker.plan:
        try:
            verb = Verb(line.verb)
        except ValueError:
            known = ", ".join(verb.value for verb in Verb)
            raise ConfigError(f"brokers: no fault is called {line.verb!r}; there are {known}") from None
        planned.append(Fault(on=line.on, verb=verb, nth=line.nth, chance=line.chance, delay=line.delay_ms * MILLISECOND,
                             fraction=line.fraction, reason=line.reason))
    return Plan(planned, broker.plan_seed)


def _lane(config: Config, name: str, lane: Lane) -> LaneSetup:
    gates = {group: GroupGate(name=group, is_open=entry.is_open, symbols=entry.symbols) for group, entry in config.groups.items()}
    accounts = tuple(AccountRoute(account=AccountName(account), symbols=config.accounts[account].symbols,
                                  groups=tuple(gates[group] for group in config.accounts[account].groups))
                     for account in lane.accounts)
    kinds = tuple(Kind(kind) for kind in lane.kinds)
    route = LaneRoute(lane=LaneName(name), accounts=accounts, kinds=kinds, symbols=lane.symbols)
    profiles = {StrategyName(row.strategy): ExitProfile(
        name=row.exit_profile, stop_atrs=None if row.stop_atrs is None else Decimal(repr(row.stop_atrs))) for row in lane.alerts}
    return LaneSetup(route=route, detector=lane.regime, profiles=profiles, holds_overnight=lane.holds_overnight,
                     instruments=tuple(dict.fromkeys(row.instrument for row in lane.alerts)))


def gate_rules(config: Config) -> GateRules:
    """The numbers of every check, from the [gate] section and the strategies' lists of regimes."""
    gate = config.gate
    allowed = {name: strategy.regimes for lane in config.lanes.values() for name, strategy in lane.strategies.items()
               if strategy.regimes}
    sizing = SizingRules(
        risk_per_trade=gate.risk_per_trade, slippage_ticks_future=gate.slippage_ticks,
        slippage_ticks_share=gate.slippage_ticks_share, slippage_ticks_crypto=gate.slippage_ticks_crypto,
        crypto_leverage_max=gate.crypto_leverage_max, crypto_notional_min=gate.crypto_notional_min,
        record=RecordRules(trades_min=gate.record_trades_min, mean_r_min=gate.record_mean_r_min,
                           profit_factor_min=gate.record_profit_factor_min, hit_rate_expected=gate.record_hit_rate_expected,
                           deviations=gate.record_deviations))
    shipped = GateRules()
    return replace(
        shipped, sizing=sizing,
        connection=Connection(proof_age_max=gate.account_age_ms_max * MILLISECOND),
        balance=Balance(balance_min=gate.balance_min, risk_share_max=gate.risk_share_max,
                        open_risk_share_max=gate.open_risk_share_max),
        daily_loss=DailyLoss(amount=gate.daily_loss, share=gate.daily_loss_share),
        regime=RegimeConditions(age_max=gate.regime_age_minutes_max * MINUTE, allowed=allowed),
        time_window=replace(
            shipped.time_window, before_flat_min=gate.before_flat_minutes * MINUTE, blackout=gate.event_minutes * MINUTE,
            fomc_before=gate.fomc_minutes_before * MINUTE, fomc_after=gate.fomc_minutes_after * MINUTE),
        data_quality=DataQuality(
            quote_age_max=gate.quote_age_ms_max * MILLISECOND, clock_offset_max=gate.clock_offset_ms_max * MILLISECOND,
            feed_delay_max=gate.feed_delay_ms_max * MILLISECOND, decision_age_max=gate.decision_age_ms_max * MILLISECOND,
            alert_age_max=gate.alert_age_ms_max * MILLISECOND),
        risk_limits=RiskLimits(
            daily_loss=gate.daily_loss, daily_loss_share=gate.daily_loss_share, weekly_loss=gate.weekly_loss,
            weekly_loss_share=gate.weekly_loss_share, losses_in_a_row_max=gate.losses_in_a_row_max,
            leverage_max=gate.leverage_max, options_risk_max=gate.options_risk_max,
            options_daily_loss=gate.options_daily_loss, options_losses_in_a_row_max=gate.options_losses_in_a_row_max,
            all_daily_loss=gate.all_daily_loss, all_orders_per_minute=gate.all_orders_per_minute,
            all_notional=gate.all_notional),
        position_count=PositionCount(total_max=gate.positions_max, source_max=gate.positions_per_source_max,
                                     underlying_max=gate.positions_per_underlying_max),
        directional_concentration=DirectionalConcentration(
            same_direction_share=gate.same_direction_share, daily_loss_share=gate.daily_loss_share,
            group_positions_max=gate.group_positions_max, net_value_max=gate.group_value_max),
        entry_slippage=replace(
            shipped.entry_slippage, ticks_max=gate.slippage_ticks_max, stop_share_max=gate.slippage_stop_share_max,
            basis_points_max=gate.slippage_basis_points_max, atr_share_max=gate.alert_distance_atrs_max,
            atr_age_max=gate.feature_age_seconds_max * SECOND, median_factor=gate.slippage_median_factor),
        trajectory_alignment=TrajectoryAlignment(
            continuation_min=gate.trajectory_min, reversal_min=gate.trajectory_reversal_min,
            age_max=gate.feature_age_seconds_max * SECOND),
        degradation=replace(shipped.degradation, rest=gate.degraded_rest_minutes * MINUTE),
        liquidity=Liquidity(spread_ticks_max=gate.spread_ticks_max, spread_basis_points_max=gate.spread_basis_points_max,
                            stop_spreads_min=gate.stop_spreads_min),
        reentry_cooldown=ReentryCooldown(cooldown=gate.cooldown_minutes * MINUTE,
                                         opposite_wait=gate.opposite_wait_seconds * SECOND,
                                         entries_per_day_max=gate.entries_per_day_max),
        definition=DefinitionFits(expiry_block=gate.expiry_block_hours * 60 * MINUTE),
        collar=Collar(share_max=gate.collar_share, exit_share_max=gate.exit_collar_share),
        price_window=PriceWindow(share_max=gate.window_share, exit_share_max=gate.exit_collar_share,
                                 span=gate.window_seconds * SECOND),
        value_rate=ValueRate(value_max=gate.value_per_minute, all_value_max=gate.all_value_per_minute),
        margin=MarginCap(share_max=gate.margin_share_max),
        exit_position=replace(shipped.exit_position, proof_age_max=gate.exit_account_age_ms_max * MILLISECOND))


def throttle_rules(config: Config) -> ThrottleRules:
    """How often a strategy may be refused for one reason, and how often it may enter one instrument, before it is off."""
    gate = config.gate
    return ThrottleRules(rejects_max=gate.identical_rejects_max, rejects_within=gate.identical_rejects_minutes * MINUTE,
                         entries_max=gate.executions_max, entries_within=gate.executions_minutes * MINUTE)


def intake_stage(config: Config, tables: Mapping[str, SessionTable]) -> Intake:
    """The intake with the rules of every lane that takes alerts."""
    return Intake({LaneName(name): lane_rules(config, name, lane) for name, lane in config.lanes.items()},
                  lambda symbol, ts: tables[symbol].session_at(ts), guards=discover())


def lane_rules(config: Config, name: str, lane: Lane) -> intake.LaneRules:
    table = config.table()
    rows = []
    for row in lane.alerts:
        profile = intake.ExitProfile(name=row.exit_profile, has_computed_stop=row.stop_atrs is not None,
                                     is_target_owned=row.exit_profile == "alert")
        window = None
        if row.window is not None:
            window = intake.Window(row.window.minute_of(row.window.start), row.window.minute_of(row.window.end))
        rows.append(intake.AlertRow(
            strategy=StrategyName(row.strategy), script_id=row.script_id, source_symbol=row.source_symbol, symbol=row.symbol,
            instrument=row.instrument, kind=table[row.instrument].kind, exit_profile=profile, window=window, fires=row.fires))
    kinds = tuple(Kind(kind) for kind in lane.kinds)
    symbols = lane.symbols or tuple(table)     # kinds are the lane gate's own question
    return intake.LaneRules(name=LaneName(name), mode=Mode(config.desk.mode), kinds=kinds, symbols=symbols,
                            accounts=tuple(AccountName(account) for account in lane.accounts), rows=tuple(rows))

