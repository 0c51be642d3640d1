"""The configurations that are simulated, and the agreed terms of each, which oracles judge by.

The text goes through the product's own reader, as a user's file does. The terms are written beside it by hand: numbers that
both sides must have right are not copied from one to the other.
"""

from datetime import date
from fractions import Fraction
from functools import cache

from msgspec import Struct

from interlock.config import build
from interlock.config.load import Loaded, load_text
from interlock.engine.setup import Setup
from interlock.engine.step import Engine
from interlock.intake.guards import discover
from interlock.intake.rules import LaneRules
from interlock.intake.stage import Intake
from interlock.model.ids import AccountName, LaneName
from interlock.model.market import Bar, Provenance
from interlock.model.money import MINUTE, SECOND, Nanos
from interlock.ports import Capabilities
from interlock.runtime.clock import WALL
from interlock.simulation.history import AccountTerms, Contract, Terms
from interlock.simulation.oracles import calendar

STATE_ID = "simulated-desk"
VISIBILITY: Nanos = 1_500_000_000
"""How long the venue's look-ups may miss an order, as its documentation says."""
CUT_OFF: Nanos = 10 * MINUTE
"""No entry leaves later than this before the close."""

_TEXT = """
[desk]
mode = "paper"
reconcile_seconds = 30
[brokers.paper]
kind = "paper"
has_native_brackets = {brackets}
has_replace = {replace}
visibility_delay_ms = 1500
[accounts.alfa]
broker = "paper"
balance = "50000"
pair_may_rest = {pair}
safe = {{ contracts_per_symbol = "4", notional_per_order = "120000", orders_per_minute = 12, daily_loss = "400" }}
[accounts.beta]
broker = "paper"
balance = "50000"
pair_may_rest = {pair}
safe = {{ contracts_per_symbol = "4", notional_per_order = "120000", orders_per_minute = 12, daily_loss = "400" }}
[accounts.gama]
broker = "paper"
balance = "30000"
pair_may_rest = {pair}
safe = {{ contracts_per_symbol = "3", notional_per_order = "120000", orders_per_minute = 12, daily_loss = "400" }}
[lanes.main]
accounts = ["alfa", "beta"]
regime = "none"
hook_token = "t"
hook_secret = "s"
[[lanes.main.alerts]]
strategy = "trend"
script_id = "trend-1"
source_symbol = "MES1!"
symbol = "MES"
instrument = "MES"
[[lanes.main.alerts]]
strategy = "swing"
script_id = "swing-1"
source_symbol = "MNQ1!"
symbol = "MNQ"
instrument = "MNQ"
exit_profile = "alert"
[lanes.side]
accounts = ["gama"]
regime = "none"
hook_token = "t2"
hook_secret = "s2"
[[lanes.side.alerts]]
strategy = "fade"
script_id = "fade-1"
source_symbol = "MES1!"
symbol = "MES"
instrument = "MES"
[[lanes.side.alerts]]
strategy = "probe"
script_id = "probe-1"
source_symbol = "MNQ1!"
symbol = "MNQ"
instrument = "MNQ"
[gate]
risk_per_trade = "90"
daily_loss_share = "0.003"
cooldown_minutes = 1
opposite_wait_seconds = 10
entries_per_day_max = 4
losses_in_a_row_max = 2
positions_max = 4
positions_per_source_max = 4
all_orders_per_minute = 24
group_positions_max = 4
same_direction_share = "1"
"""

CONTRACTS = {
    "MES": Contract(symbol="MES", tick=Fraction(1, 4), lot=Fraction(1), multiplier=Fraction(5), fee=Fraction(62, 100),
                    parent="ES", group="index", increment=Fraction(1, 4)),
    "MNQ": Contract(symbol="MNQ", tick=Fraction(1, 4), lot=Fraction(1), multiplier=Fraction(2), fee=Fraction(62, 100),
                    parent="NQ", group="index", increment=Fraction(1, 4)),
}
"""What the exchange says of the two contracts that are simulated."""
BASE = {"MES": 18_200, "MNQ": 64_000}
"""Where their prices begin, in ticks."""
STRATEGIES = {"main": (("trend", "trend-1", "MES"), ("swing", "swing-1", "MNQ")),
              "side": (("fade", "fade-1", "MES"), ("probe", "probe-1", "MNQ"))}
"""By lane: strategy, script and symbol of each configured row."""

_ENTER = (
    "kill", "truth", "account", "order.strategy", "order.tier",
    "phase.1_connection", "phase.2_balance", "phase.3_daily_loss", "phase.4_regime", "phase.5_size",
    "guard.1_time_window", "guard.2_data_quality", "guard.3_risk_limits", "guard.4_position_count",
    "guard.5_directional_concentration", "guard.6_entry_slippage", "guard.7_trajectory_alignment", "guard.8_day_type",
    "guard.9_degradation", "guard.10_liquidity", "guard.11_reentry_cooldown",
    "order.instrument", "order.definition", "order.reversal", "order.self_trade", "order.tick_and_lot", "order.bracket",
    "order.collar", "order.price_window", "order.duplicate", "order.rate", "order.value_rate", "order.margin", "order.provenance")
_EXIT = ("exit.account", "exit.position", "exit.never_crosses_zero", "order.tick_and_lot", "order.wide_collar")
_LISTS: dict[str, tuple[str, ...]] = {"enter": _ENTER, "protect": _EXIT, "reduce": _EXIT, "flatten": ("exit.person", *_EXIT)}
CHECKS = {f"{profile}|{source}": names for profile, names in _LISTS.items() for source in ("options", "bars", "alerts")}
"""What a clearance must show, by profile and source, in order: written down from the manual, not read from the registry."""

BARS = 500
_WAVE = (0, 1, 2, 3, 2, 1, 0, -1, -2, -3, -2, -1)

NAMES = ("brackets", "single", "pair", "live", "two")
"""A venue that links exits by itself; one that takes single orders only; the same where an emulated pair may rest; a live desk
in rehearsal; two venues, each with accounts of its own. The last two need processes, so only the world has them."""

MOMENTS: dict[str, Nanos] = {
    "tuesday": calendar.at(date(2023, 11, 21), 9, 10),
    "half_day": calendar.at(date(2023, 11, 24), 12, 4) + 51 * SECOND,
    "close": calendar.at(date(2023, 11, 22), 15, 49) + 51 * SECOND,
    "evening": calendar.at(date(2023, 11, 20), 16, 59) + 55 * SECOND,
    "summer_ends": calendar.at(date(2023, 11, 6), 15, 49) + 50 * SECOND,       # the Monday after clocks went back
    "summer_begins": calendar.at(date(2024, 3, 11), 15, 49) + 50 * SECOND,     # the Monday after they went forward
    "abroad": calendar.at(date(2024, 3, 27), 15, 49) + 50 * SECOND,
}
"""When runs begin."""


class Scene(Struct, frozen=True):
    """One configuration, ready to be run any number of times."""

    name: str
    loaded: Loaded
    setup: Setup
    capabilities: Capabilities
    terms: Terms
    digest: str
    canonical: str
    changed: Loaded                    # the same with one number changed
    venues: tuple[tuple[str, tuple[str, ...]], ...] = (("paper", ("alfa", "beta", "gama")),)

    @property
    def is_live(self) -> bool:
        return self.loaded.config.desk.mode == "live"


@cache
def _lanes(name: str) -> dict[LaneName, LaneRules]:
    return {LaneName(lane): build.lane_rules(scene(name).loaded.config, lane, entry)
            for lane, entry in scene(name).loaded.config.lanes.items()}


_guards = cache(discover)


def intake(name: str) -> Intake:
    """A new intake of a scene; looking for guards among all installed packages takes longer than a whole run."""
    sessions = scene(name).setup.sessions
    return Intake(_lanes(name), lambda symbol, ts: sessions[symbol].session_at(ts), guards=_guards())


@cache
def scene(name: str) -> Scene:
    """The scene of a name, made once per process."""
    brackets, pair = name not in ("single", "pair"), name == "pair"
    word = {True: "true", False: "false"}
    text = _TEXT.format(brackets=word[brackets], replace=word[brackets], pair=word[pair])
    if name == "live":
        text = _made_live(text)
    elif name == "two":
        text = text.replace('[accounts.gama]\nbroker = "paper"', '[accounts.gama]\nbroker = "other"')
        text += _OTHER
    loaded = load_text(text, f"scene {name}", {})
    setup = build.setup(loaded.config, digest=loaded.digest, epoch=1, state_id=STATE_ID, clock=WALL, is_simulated=False,
                        fed=tuple((symbol, MINUTE) for symbol in BASE))
    capabilities = Capabilities(has_native_brackets=brackets, has_replace=brackets, visibility_delay=VISIBILITY)
    accounts = {
        account: AccountTerms(account=account, cash=Fraction(cash), has_native_brackets=brackets, pair_may_rest=pair,
                              position_max=Fraction(position), notional_max=Fraction(120_000), orders_per_minute=12,
                              daily_loss=Fraction(400), number=f"V-{account}")
        for account, cash, position in (("alfa", 50_000, 4), ("beta", 50_000, 4), ("gama", 30_000, 3))}
    terms = Terms(
        contracts=CONTRACTS, accounts=accounts, lanes={"main": ("alfa", "beta"), "side": ("gama",)},
        checks=CHECKS, cooldown=MINUTE, opposite_wait=10 * SECOND, entries_per_day=4, losses_in_a_row=2,
        daily_loss_share=Fraction(3, 1000), positions=4, all_orders_per_minute=24, is_live=name == "live")
    changed = load_text(text.replace('risk_per_trade = "90"', 'risk_per_trade = "89"'), f"scene {name}, changed", {})
    venues = (("paper", ("alfa", "beta")), ("other", ("gama",))) if name == "two" else (("paper", tuple(accounts)),)
    return Scene(name, loaded, setup, capabilities, terms, loaded.digest, loaded.canonical, changed, venues)


_OTHER = """
[brokers.other]
kind = "paper"
visibility_delay_ms = 1500
"""


def _made_live(text: str) -> str:
    """The same desk in rehearsal: a venue that calls itself live, accounts with their numbers, the calendar that live needs."""
    text = text.replace('mode = "paper"', 'mode = "live"').replace(
        'kind = "paper"', 'kind = "loopback"\nenvironment = "live"\nport = 8750\ntoken = "venue_token"')
    for account, cash in (("alfa", 50_000), ("beta", 50_000), ("gama", 30_000)):
        text = text.replace(f'[accounts.{account}]\nbroker = "paper"\nbalance = "{cash}"',
                            f'[accounts.{account}]\nbroker = "paper"\nnumber = "V-{account}"')
    text = text.replace("safe = { ", 'safe = { symbols = ["MES", "MNQ"], ')
    return text + '[[releases]]\nname = "CPI"\nat = "2024-12-11T08:30:00-05:00"\n'


class Warmth(Struct, frozen=True):
    """Features and regimes that have their warm-up behind them, as snapshots."""

    tables: dict[str, bytes]
    detectors: dict[str, bytes]


@cache
def warmth(begins: Nanos) -> Warmth:
    """What a process that starts at `begins` has learnt from history, in every scene the same; worked out once, for it takes
    its time."""
    engine = Engine(scene("brackets").setup, None)
    end = begins - begins % MINUTE
    engine.warm(bar(symbol, end - (BARS - index) * MINUTE, BASE[symbol] + _WAVE[index % len(_WAVE)])
                for index in range(BARS) for symbol in BASE)
    return Warmth({symbol: table.snapshot() for (symbol, _), table in engine.tables.items()},
                  {symbol: detector.snapshot() for symbol, detector in engine.detectors.items()})


def warm(engine: Engine, begins: Nanos) -> None:
    """As a start does that has history at hand."""
    kept = warmth(begins)
    for (symbol, _), table in engine.tables.items():
        table.restore(kept.tables[symbol])
        engine.detectors[symbol].restore(kept.detectors[symbol])
        row = table.row
        if row is not None:
            engine.rows[symbol] = row


def bar(symbol: str, ts: Nanos, ticks: int) -> Bar:
    """The minute that begins at `ts`: eight ticks around a price."""
    return Bar(symbol, MINUTE, ticks, ticks + 4, ticks - 4, ticks, 100, ts, ts + MINUTE, Provenance.SIMULATED)


def accounts(of: Scene) -> tuple[AccountName, ...]:
    return tuple(of.setup.accounts)
