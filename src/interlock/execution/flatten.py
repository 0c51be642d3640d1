"""Flatten, by a person's command: cancel, close, verify; every account on its own, none waiting for another.

Nothing is taken from our own books. The broker is asked at once; what it shows is cancelled, and once nothing else can fill
it is asked again, and the position that it shows then is closed. "Flat" is the broker's word after the last order, never
ours. An answer that contradicts an execution of a moment ago is asked for again before any order is sized from it.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from interlock.execution.exposure import ZERO, position_key
from interlock.execution.kill import PERSON
from interlock.execution.state import (
    TRIES_MAX,
    Flattening,
    Outputs,
    Situation,
    World,
    backoff,
    earliest,
    exit_side,
    prepared,
)
from interlock.execution.told import Told
from interlock.model.command import FLATTEN_LIFE, FlattenBegun, FlattenEnded
from interlock.model.ids import AccountName, ClientOrderId, LaneName, StrategyName
from interlock.model.money import SECOND, Nanos, plain
from interlock.model.order import OrderRecord
from interlock.model.record import CancelRequested, ExitBegun, ExitEnded, ReadRequested
from interlock.model.signal import AccountIntent, Intent, Purpose, Source

T_READ: Final[Nanos] = 10 * SECOND
"""How long a broker may take to tell what it holds, before the account counts as unknown."""
T_CLOSE: Final[Nanos] = 60 * SECOND
"""How long the whole may take for one account."""
_NOBODY: Final = (LaneName(""), StrategyName("flatten"), Source.BARS)
_SLOW: Final[Nanos] = 5 * SECOND


def on_begun(situation: Situation, begun: FlattenBegun, ts: Nanos, world: World) -> Outputs:
    """Every account at once: entries go, and the broker is asked. Protection stays until the broker has answered."""
    for account in begun.accounts:
        yield from advance(situation, account, ts, world)


def on_tick(situation: Situation, ts: Nanos, world: World) -> Outputs:
    for account in tuple(situation.folded.flattens):
        yield from advance(situation, AccountName(account), ts, world)


def next_wake(situation: Situation) -> Nanos | None:
    times: list[Nanos | None] = []
    for account, out in situation.folded.flattens.items():
        times += [out.ts_read + backoff(out.reads), out.ts_read + _SLOW, out.ts_from + T_CLOSE, out.ts + FLATTEN_LIFE]
        if not out.is_read:
            times.append(out.ts_from + T_READ)
        for instrument in out.closing:
            going = situation.folded.exits.get(position_key(account, instrument))
            if going is not None:
                times.append(going.ts_retry)
    return earliest(each for each in times if each is not None and each > situation.ts)


def advance(situation: Situation, account: AccountName, ts: Nanos, world: World) -> Outputs:
    """The next steps of one account, those that are due."""
    out = situation.folded.flattens.get(account)
    if out is None:
        return
    told = situation.current(account)
    if ts >= out.ts + FLATTEN_LIFE or ts >= out.ts_from + T_CLOSE or (not out.is_read and ts >= out.ts_from + T_READ):
        yield from _expire(situation, account, out, told, ts)
        return
    if not out.is_read:
        for record in _open(situation, account, out):
            if record.leg.purpose is Purpose.ENTER and not situation.is_cancelling(record):
                yield CancelRequested(account, record.leg.client_order_id, f"flatten: {out.why}", PERSON)
        yield from _ask(situation, account, out, ts)
        return
    yield from _begin(situation, account, out, told, ts)
    may_fill = False
    for instrument in tuple(out.closing):
        is_waiting = False
        for step in _clear_way(situation, account, instrument, out, told, ts):
            is_waiting = True
            if step is not None:
                yield step
        if is_waiting:
            may_fill = True
        elif told is not None and told.is_settled(instrument):
            yield from _close(situation, account, instrument, out, told, ts, world)
    if account in situation.folded.flattens and (not may_fill or ts >= out.ts_read + _SLOW):
        told = situation.current(account)
        if told is None or any(not told.is_settled(instrument) or (may_fill and _strangers(situation, told, instrument))
                               for instrument in out.closing):
            yield from _ask(situation, account, out, ts)


def _begin(situation: Situation, account: AccountName, out: Flattening, told: Told | None, ts: Nanos) -> Outputs:
    """Everything that the broker shows, and everything of ours that may still fill, is on its way out from here on."""
    found = dict.fromkeys(record.instrument for record in _open(situation, account, out))
    if told is not None:
        found |= dict.fromkeys(name for name, quantity in told.positions.items() if quantity and out.reaches(name))
        found |= dict.fromkeys(order.instrument for order in told.orders.values() if out.reaches(order.instrument))
    for instrument in tuple(found | out.closing):
        going = situation.folded.exits.get(position_key(account, instrument))
        is_another = going is not None and going.asked.intent.signal_id != out.signal     # of a flatten that this one takes over
        if instrument not in out.closing or is_another:
            yield ExitBegun(account, instrument, _intent(situation, account, instrument, out, ts))
    if told is not None and not out.closing:
        yield from _end(situation, account, out.instrument or "", "flat", ZERO, "the broker shows no position and no order")


def _clear_way(situation: Situation, account: AccountName, instrument: str, out: Flattening, told: Told | None,
               ts: Nanos) -> Iterator[CancelRequested | None]:
    """What must end before a close can be sized, each with the cancel that it still needs."""
    for record in situation.orders.open_at(position_key(account, instrument)):
        is_own = record.signal_id == out.signal
        yield None if is_own or situation.is_cancelling(record) else CancelRequested(
            account, record.leg.client_order_id, f"flatten: {out.why}", PERSON)
    for name in _strangers(situation, told, instrument):
        asked = situation.orders.book.cancels.get(name)
        yield None if asked is not None and ts < asked.ts_next else CancelRequested(
            account, name, f"flatten: {out.why}; known to the broker alone", PERSON)


def _strangers(situation: Situation, told: Told | None, instrument: str) -> list[ClientOrderId]:
    """Orders that the broker lists and that are none of ours."""
    records = situation.orders.book.records
    return [] if told is None else [name for name, order in told.orders.items()
                                    if order.instrument == instrument and name not in records]


def _close(situation: Situation, account: AccountName, instrument: str, out: Flattening, told: Told, ts: Nanos,
           world: World) -> Outputs:
    """Nothing else can fill, and the broker has told what is left since."""
    key, at = position_key(account, instrument), told.positions.get(instrument, ZERO)
    going = situation.folded.exits.get(key)
    if not at:
        yield from _end(situation, account, instrument, "flat", ZERO, "the broker shows it flat")
    elif world.instrument(instrument) is None:
        yield from _end(situation, account, instrument, "residual", at, "no instrument of that name is defined here")
    elif going is None or going.tries >= TRIES_MAX:
        tries = 0 if going is None else going.tries
        yield from _end(situation, account, instrument, "residual", at, f"{tries} closing orders came to nothing")
    elif ts >= going.ts_retry and not situation.is_pending(key, Purpose.FLATTEN):
        yield _intent(situation, account, instrument, out, ts, at)


def _intent(situation: Situation, account: AccountName, instrument: str, out: Flattening, ts: Nanos,
            at: Decimal | None = None) -> AccountIntent:
    """The order that closes `at`; without it, the wish as it stands while the way is cleared."""
    key, leg = position_key(account, instrument), f"exit.{instrument}"
    plan, held = situation.plan(key), situation.position(key) if at is None else at
    lane, strategy, source = _NOBODY if plan is None else (plan.lane, plan.strategy, plan.source)
    return AccountIntent(Intent(
        signal_id=out.signal, lane=lane, strategy=strategy, source=source, instrument=instrument, side=exit_side(held),
        purpose=Purpose.FLATTEN, why=f"flatten: {out.why}", ts_decided=ts, quantity=None if at is None else abs(at),
        person=out.command, leg="" if at is None else leg,
        generation=0 if at is None else situation.generation(out.signal, account, leg)), account)


def _ask(situation: Situation, account: AccountName, out: Flattening, ts: Nanos) -> Outputs:
    """Ask for the whole account: at once after anything has moved, else with patience."""
    patience = _SLOW if situation.ears.is_asked(account) else backoff(out.reads)
    if out.mark_asked != situation.ears.marks.get(account, 0) or ts >= out.ts_read + patience:
        yield ReadRequested(account, "flatten")


def _expire(situation: Situation, account: AccountName, out: Flattening, told: Told | None, ts: Nanos) -> Outputs:
    """Time is up. What is not known is said to be unknown; what is still out is called back."""
    for record in _open(situation, account, out):
        if record.signal_id == out.signal and not situation.is_cancelling(record):
            yield CancelRequested(account, record.leg.client_order_id, "flatten: out of time", PERSON)
    seconds = (ts - out.ts_from) // SECOND
    if not out.is_read:
        yield from _end(situation, account, "", "unknown", ZERO, f"no whole answer from the broker within {seconds} s")
    for instrument in tuple(out.closing):
        at = ZERO if told is None else told.positions.get(instrument, ZERO)
        is_known = told is not None and told.is_settled(instrument) and not situation.orders.open_at(
            position_key(account, instrument))
        yield from _end(situation, account, instrument, "unknown" if not is_known else "residual" if at else "flat",
                        at if is_known else ZERO, f"not closed within {seconds} s" if is_known else
                        f"no definite answer from the broker within {seconds} s")


def _end(situation: Situation, account: AccountName, instrument: str, result: str, quantity: Decimal, why: str) -> Outputs:
    """Say the result; anything but flat calls a person, again and again."""
    if position_key(account, instrument) in situation.folded.exits and situation.is_flattened(position_key(account, instrument)):
        yield ExitEnded(account, instrument, result == "flat", f"flatten: {why}")
    yield FlattenEnded(account, instrument, result, quantity, why)
    name = f"flatten.{account}" + (f".{instrument}" if instrument else "")
    if result == "flat":
        for key in tuple(situation.folded.alarms):
            if key == name or (not instrument and key.startswith(f"{name}.")):
                yield from situation.clear(key)
        if not any(key.startswith(f"flatten.{account}.") for key in situation.folded.alarms):
            yield from situation.clear(f"flatten.{account}")
        return
    left = f"still holds {plain(quantity)}" if result == "residual" else "may still hold something"
    yield from situation.alarm(name, f"{account}: the flatten has ended and {instrument or 'the account'} {left} ({why}); to try "
                               f"again: {prepared(account, instrument)}")


def _open(situation: Situation, account: AccountName, out: Flattening) -> list[OrderRecord]:
    return [record for record in situation.orders.open_orders(account) if out.reaches(record.instrument)]
