"""Hard close: what is held intraday is out before its session ends, or a person is being called.

The time is the session table's own (half days are in it) of the session that was entered in, less a buffer. At that time
entries are cancelled, the broker is read, and a position on which both books agree goes out by the ordinary way, at a fresh
quote. Where they differ, where there is no fresh quote, where a kill stands: nothing is sent, and the alarm goes on until
the position is gone. After the session's own end nothing is sent any more; what was missed is a person's.
"""

from collections.abc import Iterator
from typing import Final

from interlock.execution import exits
from interlock.execution.exposure import ZERO, position_key
from interlock.execution.state import Outputs, Plan, Situation, World, ask, earliest, exit_side, plan_key, prepared
from interlock.model.ids import AccountName
from interlock.model.money import SECOND, Nanos, plain
from interlock.model.order import OrderRecord
from interlock.model.record import CancelRequested, ExitBegun, ReadRequested
from interlock.model.signal import Purpose

QUOTE_AGE: Final[Nanos] = 5 * SECOND
"""How old a quote may be to close at."""
_PATIENCE: Final[Nanos] = SECOND
_REST: Final[Nanos] = 10 * SECOND
"""How long after an exit that came to nothing the next one begins."""


def next_wake(situation: Situation) -> Nanos | None:
    if not situation.folded.flats:
        return None
    rules, times = situation.closing, list[Nanos]()
    for flat in dict.fromkeys(situation.folded.flats.values()):        # nearly always the same for all
        begins = flat - rules.buffer
        times += [flat - rules.cut_off, begins, flat - rules.buffer // 2, flat]
        if begins <= situation.ts < flat:
            times.append(situation.ts + _PATIENCE)
    return earliest(ts for ts in times if ts > situation.ts)


def foreign_wake(situation: Situation, account: AccountName, ts: Nanos, world: World) -> Iterator[Nanos]:
    """When to look again at what the broker holds and no entry of ours opened."""
    told = situation.ears.told.get(account)
    for instrument, at in () if told is None else told.settled.items():
        if at and position_key(account, instrument) not in situation.folded.flats:
            session = world.session(instrument)
            begins = session.ts_flat - situation.closing.buffer
            if session.is_open and begins > ts:
                yield begins


def on_tick(situation: Situation, ts: Nanos, world: World) -> Outputs:
    for key in tuple(situation.folded.flats):
        yield from advance(situation, key, ts, world)
    for account in situation.profiles:
        yield from _strangers(situation, account, ts, world)
    yield from _clear(situation)


def on_read(situation: Situation, account: AccountName, ts: Nanos, world: World) -> Outputs:
    for key in tuple(situation.folded.flats):
        if key.startswith(f"{account}|"):
            yield from advance(situation, key, ts, world)
    yield from _strangers(situation, account, ts, world)
    yield from _clear(situation)


def advance(situation: Situation, key: str, ts: Nanos, world: World) -> Outputs:
    """What is due at one position of ours."""
    flat, rules = situation.folded.flats.get(key), situation.closing
    if flat is None or ts < flat - rules.cut_off:
        return
    plan, entries = _intraday(situation, key)
    if plan is None:
        return                                            # all of it may be held over night
    account, at = plan.account, situation.position(key)
    if situation.killed(plan.lane, account):
        if at:
            yield from _call(situation, key, "a kill stands, so nothing is sent")
        return
    if ts < flat - rules.buffer:
        return
    for record in entries:
        if not situation.is_cancelling(record):
            yield CancelRequested(account, record.leg.client_order_id, "hard close")
    held = situation.plan(key)
    if at and held is not None and held.lane in rules.overnight:
        return                                            # the entries alone were intraday
    out = situation.folded.exits.get(key)
    if out is not None and (out.is_whole or situation.is_flattened(key)):
        if ts >= flat - rules.buffer // 2:
            yield from _call(situation, key, "its exit has not come to an end")
    elif ts >= flat:
        yield from _call(situation, key, "its session has ended")
    else:
        yield from _close(situation, key, plan, ts, world)


def _close(situation: Situation, key: str, plan: Plan, ts: Nanos, world: World) -> Outputs:
    """Begin the exit, where size and price are certain."""
    account, at = plan.account, situation.position(key)
    flat, begins = situation.folded.flats[key], situation.folded.flats[key] - situation.closing.buffer
    rests_until = situation.folded.gave_up.get(key, ts - _REST) + _REST
    told = situation.current(account)
    if told is None or told.ts_asked < begins:
        if not situation.ears.is_asked(account) or ts >= situation.folded.rereads.get(account, 0) + _PATIENCE:
            yield ReadRequested(account, "hard close")
        if ts >= begins + (flat - begins) // 2:
            yield from _call(situation, key, "the broker has not told what it holds")
        return
    mark = world.mark(plan.instrument)
    if told.positions.get(plan.instrument, ZERO) != at:
        yield from _call(situation, key, f"ours is {plain(at)}, the broker's {plain(told.positions.get(plan.instrument, ZERO))}")
    elif at and (mark is None or not mark.is_open or mark.is_halted or not mark.is_fresh(ts, QUOTE_AGE)):
        yield from _call(situation, key, "there is no fresh quote to close it at")
    elif ts >= rests_until:
        wish = ask(plan, Purpose.REDUCE, ts, "hard close: the session ends", side=exit_side(at), quantity=None, leg="")
        yield ExitBegun(account, plan.instrument, wish)
        yield from exits.advance(situation, key, ts)
    else:
        yield from _call(situation, key, "its exit came to nothing")


def _intraday(situation: Situation, key: str) -> tuple[Plan | None, list[OrderRecord]]:
    """The plan whose lane must be out, and the entries that may still fill. An order in doubt is one of them."""
    folded, overnight = situation.folded, situation.closing.overnight
    plan, entries = situation.plan(key) if situation.position(key) else None, []
    if plan is not None and plan.lane in overnight:
        plan = None
    for record in situation.orders.open_at(key):
        if record.leg.purpose is Purpose.ENTER and record.lane not in overnight:
            entries.append(record)
            plan = plan or folded.plans.get(plan_key(record.account, record.signal_id))
    return plan, entries


def _strangers(situation: Situation, account: AccountName, ts: Nanos, world: World) -> Outputs:
    """What the broker holds and no entry of ours opened is not ours to close."""
    told = situation.ears.told.get(account)
    if told is None or account not in situation.closing.accounts:
        return
    for instrument, at in tuple(told.settled.items()):
        key = position_key(account, instrument)
        if at and key not in situation.folded.flats:
            session = world.session(instrument)
            plan = situation.plan(key)
            is_held_on = plan is not None and plan.lane in situation.closing.overnight and situation.position(key) == at
            if session.is_open and ts >= session.ts_flat - situation.closing.buffer and not is_held_on:
                yield from _call(situation, key, f"the broker holds {plain(at)} that no entry of this session opened")


def _call(situation: Situation, key: str, why: str) -> Outputs:
    account, _, instrument = key.partition("|")
    yield from situation.alarm(f"not_flat.{account}.{instrument}", f"{account}: {instrument} {plain(situation.position(key))} is "
                               f"not flat and its session ends ({why}); to close it: {prepared(account, instrument)}")


def _clear(situation: Situation) -> Outputs:
    """The alarm ends when neither book holds anything."""
    for name in tuple(situation.folded.standing):
        if name.startswith("not_flat."):
            for account in situation.profiles:
                instrument = name.removeprefix(f"not_flat.{account}.")
                if instrument != name and not situation.position(position_key(account, instrument)) and (
                        not situation.ears.position(account, instrument)):
                    yield from situation.clear(name)
