"""Every strategy is asked at every bar of its own; what it answers becomes a record or an intent."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from interlock.decisions.strategy import FLAT, NONE, Moment, PositionView, Strategy
from interlock.errors import InputError
from interlock.model.features import Columns, FeatureRow
from interlock.model.ids import LaneName, StrategyName, signal_id
from interlock.model.instrument import Instrument
from interlock.model.market import Bar, Quality
from interlock.model.money import Nanos
from interlock.model.record import BROKE, StrategyDisabled, StrategyEnabled
from interlock.model.signal import Decision, Enter, Exit, Held, Hold, Intent, Purpose, Source
from interlock.model.view import Regime

TEXTS_MAX = 64
"""How many different reasons of one strategy are kept ready; a reason with numbers in it is made anew each time."""

_UNREADY = {Quality.SYNTH: "synthetic", Quality.STALE: "stale", Quality.WARMUP: "warming", Quality.MISSING: "missing"}

Positions = Callable[[LaneName, StrategyName, str], PositionView]
"""What a strategy of a lane holds of an instrument."""


class Seat(Struct, frozen=True):
    """One strategy of one lane on one instrument."""

    lane: LaneName
    name: StrategyName
    strategy: Strategy
    instrument: Instrument
    timeframe: Nanos = 0               # of the bars it is given, where these are longer than it needs; 0: as it needs

    @property
    def bars(self) -> Nanos:
        return self.timeframe or self.strategy.needs.timeframe


class _Bound:
    """A seat with what is worked out once: which bits of a row it needs, and the records of its usual answers."""

    __slots__ = ("columns", "detector", "held", "key", "mask", "needs", "quality_max", "seat", "strategy")

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.strategy = seat.strategy
        self.needs = seat.strategy.needs
        self.key = (seat.lane, seat.name)
        self.detector = self.needs.regime
        self.quality_max = Quality.SYNTH if self.needs.is_synth_ok else Quality.OK
        self.columns: Columns | None = None
        self.mask = 0
        self.held: dict[str, Held] = {}

    def hold(self, why: str) -> Held:
        held = self.held.get(why)
        if held is None:
            held = Held(self.seat.lane, self.seat.name, self.seat.instrument.symbol, why)
            if len(self.held) < TEXTS_MAX:
                self.held[why] = held
        return held

    def unready(self, row: FeatureRow) -> str | None:
        """Why the row will not do, None if it does."""
        if row.columns is not self.columns:
            missing = [name for name in self.needs.features if name not in row]
            if missing:
                return f"missing: {missing[0]}"
            self.columns = row.columns
            self.mask = row.columns.mask(self.needs.features)
        if row.ready & self.mask == self.mask and row.bar_quality <= self.quality_max:
            return None
        name = row.first_unready(self.needs.features, is_synth_ok=self.needs.is_synth_ok)
        if name is None:               # it needs no column, but not such a bar either
            return f"{_UNREADY[row.bar_quality]}: bar"
        return f"{_UNREADY[row.quality(name)]}: {name}"


class Decisions:
    """The stage. Its only state is which strategies are disabled; `apply` folds that from the record."""

    def __init__(self, seats: Sequence[Seat]) -> None:
        self._bounds: dict[str, dict[Nanos, list[_Bound]]] = {}
        names = set()
        for seat in seats:
            place = (seat.lane, seat.name, seat.instrument.symbol)
            if place in names:
                raise InputError(f"lane {seat.lane}: strategy {seat.name} stands twice on {seat.instrument.symbol}")
            names.add(place)
            by_length = self._bounds.setdefault(seat.instrument.symbol, {})
            by_length.setdefault(seat.bars, []).append(_Bound(seat))
        self._disabled: dict[tuple[LaneName, StrategyName], str] = {}

    def decide(self, bar: Bar, row: FeatureRow, regimes: Mapping[str, Regime], positions: Positions, now: Nanos,
               ) -> Iterator[Held | Intent | StrategyDisabled]:
        """The answers of all strategies that want this bar, in the order of their seats.

        `regimes` are by detector name. Pure: a StrategyDisabled takes effect when it is applied.
        """
        for bound in self._bounds.get(bar.instrument, {}).get(bar.timeframe, ()):
            if self._disabled and bound.key in self._disabled:
                continue
            unready = bound.unready(row)
            if unready is not None:
                yield bound.hold(unready)
                continue
            name = NONE
            if bound.detector != NONE:
                regime = regimes.get(bound.detector)
                if regime is None or regime.name == "unknown":
                    yield bound.hold(f"warming: regime {bound.detector}")
                    continue
                name = regime.name
            seat = bound.seat
            position = positions(seat.lane, seat.name, bar.instrument)
            yield _ask(bound, Moment(bar, row, name, position, seat.instrument, now))

    def apply(self, payload: StrategyDisabled | StrategyEnabled) -> None:
        """Fold what was recorded: a strategy that broke is not asked again until a person enables it. One that is off for
        another reason is asked, for it may want to leave; the gate lets it enter nothing."""
        if isinstance(payload, StrategyEnabled):
            self._disabled.pop((payload.lane, payload.strategy), None)
        elif payload.code == BROKE:
            self._disabled[(payload.lane, payload.strategy)] = payload.why

    @property
    def disabled(self) -> Mapping[tuple[LaneName, StrategyName], str]:
        """The disabled strategies, each with its reason."""
        return self._disabled

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode([[lane, name, why] for (lane, name), why in self._disabled.items()])

    def restore(self, raw: bytes) -> None:
        """Put a snapshot back. Raises InputError for bytes that are none."""
        try:
            rows = msgspec.msgpack.decode(raw, type=list[tuple[str, str, str]])
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise InputError(f"decisions: not a snapshot: {error}") from error
        self._disabled = {(LaneName(lane), StrategyName(name)): why for lane, name, why in rows}


def _ask(bound: _Bound, moment: Moment) -> Held | Intent | StrategyDisabled:
    seat = bound.seat
    try:
        answer = bound.strategy.decide(moment)
        if isinstance(answer, Hold):
            return bound.hold(answer.why)
        return _intent(seat, moment, answer) or bound.hold("nothing to leave")
    except Exception as error:         # noqa: BLE001 - a strategy may break in any way; it alone stops, the desk goes on
        return StrategyDisabled(seat.lane, seat.name, f"{type(error).__name__}: {error}")


def _intent(seat: Seat, moment: Moment, answer: Decision) -> Intent | None:
    """The answer as an intent; None for leaving what is not held. Raises InputError for an answer that is none."""
    bar, position, symbol = moment.bar, moment.position, seat.instrument.symbol
    cause = signal_id("bars", seat.lane, seat.name, symbol, bar.timeframe, bar.ts_event)
    reference = seat.instrument.price(bar.close)
    match answer:
        case Enter():
            return Intent(signal_id=cause, lane=seat.lane, strategy=seat.name, source=Source.BARS, instrument=symbol,
                          side=answer.side, purpose=Purpose.ENTER, why=answer.why, ts_decided=moment.now,
                          stop=answer.stop, target=answer.target, limit=answer.limit, reference=reference,
                          setup=seat.strategy.setup)
        case Exit():
            if position.side is None:
                return None
            return Intent(signal_id=cause, lane=seat.lane, strategy=seat.name, source=Source.BARS, instrument=symbol,
                          side=position.side.opposite, purpose=Purpose.REDUCE, why=answer.why, ts_decided=moment.now,
                          reference=reference)
        case _:
            raise InputError(f"expected Hold, Enter or Exit, found {answer!r}")


def flat(_lane: LaneName, _strategy: StrategyName, _instrument: str) -> PositionView:
    """The positions of a desk that holds nothing."""
    return FLAT
