"""Recordings, or a stretch of the simulated market, through the same desk that `run` drives, in memory and at full speed."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from interlock.config import build
from interlock.config.load import Loaded, load_default, load_text
from interlock.config.schema import Config
from interlock.config.write import make_state
from interlock.errors import ConfigError, InputError
from interlock.feeds.recorded import open_recording, source_of
from interlock.model.account import ClosedTrade
from interlock.model.entry import Payload
from interlock.model.market import Bar
from interlock.model.money import DAY, Nanos, plain
from interlock.model.record import Attempt, StrategyDisabled
from interlock.model.report import OrderFilled
from interlock.model.signal import AlertAccepted, Held, Intent
from interlock.model.verdict import Refused, Verdict
from interlock.runtime.clock import PLAYBACK, VIRTUAL, PlaybackClock
from interlock.runtime.sources import Recordings, SimulatedMarketplace
from interlock.runtime.wiring import Built, Place, build_desk, memory_place, state_place

HISTORY: Final[Nanos] = 4 * DAY
"""How much of the simulated market goes before its start, so that every feature and regime is warm."""
MONDAY: Final = 1_700_438_400_000_000_000
"""Where a simulated replay starts unless it is told: 2023-11-20 00:00 UTC."""


class Tally:
    """Counts what becomes durable, for the answer."""

    def __init__(self) -> None:
        self.bars = self.orders = self.fills = 0
        self.signals: set[str] = set()
        self.refusals: Counter[str] = Counter()
        self.trades: list[ClosedTrade] = []
        self.warming: Counter[str] = Counter()
        self.disabled: list[StrategyDisabled] = []

    def on_entry(self, seq: int, ts: Nanos, payload: Payload) -> None:  # noqa: ARG002
        kind = type(payload)
        if kind is Held:
            self._on_held(payload)  # type: ignore[arg-type]
            return
        if kind is Bar:
            self.bars += 1
        elif isinstance(payload, Intent | AlertAccepted):
            self.signals.add(payload.signal_id)
        elif kind is Attempt:
            self.orders += len(payload.order.legs)  # type: ignore[union-attr]
        elif kind is OrderFilled:
            self.fills += 1
        elif kind is StrategyDisabled:
            self.disabled.append(payload)  # type: ignore[arg-type]
        elif kind is ClosedTrade:
            self.trades.append(payload)  # type: ignore[arg-type]
        elif kind is Verdict and isinstance(payload.result, Refused):  # type: ignore[union-attr]
            self.refusals[payload.result.code] += 1  # type: ignore[union-attr]

    def _on_held(self, held: Held) -> None:
        if held.why.startswith("warming"):
            self.warming[held.strategy] += 1

    def on_market(self, message: object) -> None:
        """Quotes and trades are counted by their bars."""

    def notes(self) -> list[str]:
        """What would otherwise look like a quiet market: strategies that broke, or that were still warming."""
        return [*(f"strategy {each.strategy} broke and was disabled: {each.why}" for each in self.disabled),
                *(f"{strategy}: warming for {count} bars (a regime needs 51 quarter hours, a mean its length)"
                  for strategy, count in self.warming.items())]

    def results(self, config: Config) -> list[dict[str, Any]]:
        rows = []
        for account in config.accounts:
            trades = [trade for trade in self.trades if trade.account == account]
            rows.append({"account": account, "trades": len(trades), "won": sum(trade.net > 0 for trade in trades),
                         "net": plain(sum((trade.net for trade in trades), Decimal(0)))})
        return rows


def open_recordings(data: Sequence[str], config: Config, *, is_bad_allowed: bool) -> Recordings:
    """The files of --data. Raises InputError for one that cannot be played, naming it."""
    table = config.table()
    recordings = []
    for argument in data:
        symbol, path = source_of(argument)
        recordings.append(open_recording(path, symbol=symbol, instruments=table, allow_bad=is_bad_allowed))
    return Recordings(recordings)


def notes_of(market: Recordings, config: Config) -> list[str]:
    """What a person should know about the files before they are played."""
    notes = []
    for recording in market.recordings:
        left_out = ", ".join(f"{count} {reason}" for reason, count in recording.dropped.items())
        notes.append(f"{recording.source}: {recording.instrument.symbol}, {recording.kept} of {recording.rows} rows"
                     + (f"; left out: {left_out}" if left_out else ""))
        notes.extend(f"  row {bad.row}: {bad.reason}" for bad in recording.listed)
    fed = {symbol for symbol, _ in market.fed}
    for symbol, micro in ((symbol, config.table()[symbol].micro) for symbol, _ in market.fed):
        if micro is not None and micro not in fed:
            notes.append(f"{symbol}: where one contract risks more than the cap, sizing falls back to {micro}, which is not "
                         f"recorded; give --data {micro}=FILE too (the same file will do: price and tick are the same)")
    for lane in config.lanes.values():
        for name, strategy in lane.strategies.items():
            if strategy.on_recordings == "every_instrument" and not fed <= set(strategy.instruments):
                notes.append(f"{name} runs on {', '.join(sorted(fed))}, which is what is recorded (on_recordings)")
    return notes


def replay(data: Sequence[str], *, config: Path | None = None, journal: Path | None = None, simulated: str | None = None,
           is_bad_allowed: bool = False, on_progress: Callable[[float], None] | None = None) -> dict[str, Any]:
    """Play and count. Raises InputError or ConfigError for what cannot be played."""
    loaded = load_default() if config is None else _load(config)
    if loaded.config.desk.mode == "live":
        raise ConfigError('a replay is played on paper: desk.mode must be "paper", found "live"')
    if bool(data) == bool(simulated):
        raise ConfigError("replay needs --data FILE, or --simulated DAYS, and not both")
    began = time.perf_counter()
    if data:
        recordings = open_recordings(data, loaded.config, is_bad_allowed=is_bad_allowed)
        notes, clock, market = notes_of(recordings, loaded.config), PlaybackClock(None, kind=PLAYBACK), recordings
        answer = _play(loaded, clock, market, journal, on_progress)
    else:
        notes, market_place = [], _simulated(simulated or "", loaded.config)
        clock = PlaybackClock(None, kind=VIRTUAL, floor=market_place.start)
        answer = _play(loaded, clock, market_place, journal, on_progress)
    return answer | {"seconds": round(time.perf_counter() - began, 3), "notes": notes + answer["notes"]}


def _play(loaded: Loaded, clock: PlaybackClock, market: Recordings | SimulatedMarketplace, journal: Path | None,
          on_progress: Callable[[float], None] | None) -> dict[str, Any]:
    if journal is None:
        return asyncio.run(_drive(loaded, clock, market, memory_place(), on_progress))
    build.setup(loaded.config, digest="", epoch=0, state_id="", clock=clock.kind, is_simulated=market.is_simulated,
                fed=market.fed)        # what cannot be built must not leave a directory behind
    make_state(journal)
    (journal / "interlock.toml").write_text(loaded.text)
    with state_place(journal, "interlock replay") as place:
        # Locked like any state directory, but no lease in real time may touch what a replay decides.
        return asyncio.run(_drive(loaded, clock, market, Place(journal, place.store, None, place.reserve), on_progress))


async def _drive(loaded: Loaded, clock: PlaybackClock, market: Recordings | SimulatedMarketplace, place: Place,
                 on_progress: Callable[[float], None] | None) -> dict[str, Any]:
    tally = Tally()
    built: Built = build_desk(loaded, place, clock, market, watchers=(tally,), ends_with_market=True, with_digest=True)
    if isinstance(market, SimulatedMarketplace):
        built.engine.warm(market.history(HISTORY))
    built.driver.on_progress = on_progress
    try:
        await built.driver.run()
        if on_progress is not None:
            on_progress(1.0)
        return {"bars": tally.bars, "signals": len(tally.signals), "orders": tally.orders, "fills": tally.fills,
                "refusals": dict(tally.refusals.most_common()), "dropped": market.dropped,
                "digest": built.opened.journal.digest(), "results": tally.results(loaded.config), "notes": tally.notes()}
    finally:
        built.close("the recording has ended")


def _load(path: Path) -> Loaded:
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    return load_text(text, str(path), {})


def _simulated(text: str, config: Config) -> SimulatedMarketplace:
    days, _, start = text.partition("@")
    try:
        length = int(float(days) * DAY)
        begin = int(datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp()) * 1_000_000_000 if start else MONDAY
    except (ValueError, OverflowError):
        raise InputError(f"--simulated takes DAYS or DAYS@START, e.g. 7@2023-11-20; found {text!r}") from None
    if not 0 < length <= 3660 * DAY:
        raise InputError(f"--simulated takes more than 0 and at most 3660 days, found {days!r}")
    feed = config.feeds.simulated
    table = config.table()
    return SimulatedMarketplace(feed.seed, [table[symbol] for symbol in feed.instruments], start=begin, end=begin + length)

