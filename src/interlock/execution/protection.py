"""Protected or alarmed: at rest the live stops of a position add up to it; for two seconds after a change they may not.

Whatever is missing is asked for at once, sized from the position: by the venue's own replace where it has one (one
order, never naked), else as a further stop for the missing part. Cancelling the only stop to place a larger one would
leave the position naked between the two. A stop that a person took away stays away; then this only alarms. A stop that the
venue will not have is watched here: when the mark is through it, the position goes out at market.
"""

from decimal import Decimal
from typing import Final

from interlock.execution import brackets, exits
from interlock.execution.exposure import ZERO
from interlock.execution.state import (
    T_ORPHAN,
    T_PROTECT,
    TRIES_MAX,
    Outputs,
    Plan,
    Situation,
    World,
    ask,
    exit_side,
)
from interlock.model.ids import AccountName
from interlock.model.money import SECOND, Nanos, plain
from interlock.model.order import OrderRecord, OrderType, Working
from interlock.model.record import AccountFrozen, AccountThawed, CancelRequested, ExitBegun
from interlock.model.signal import AccountIntent, Purpose

_REST: Final[Nanos] = 60 * SECOND
"""How long after an exit that came to nothing the next one may begin."""

ROLE = {Purpose.PROTECT: "stop", Purpose.TARGET: "target"}


def check(situation: Situation, key: str, ts: Nanos, world: World, *, is_read: bool = False) -> Outputs:
    """Compare, alarm, and ask for what is missing. `is_read`: the broker has just told its own list."""
    at = situation.position(key)
    yield from _alarms(situation, key, at, ts, is_read=is_read)
    if at == ZERO:
        yield from situation.clear(f"exit.{key.replace('|', '.', 1)}")
        yield from brackets.sweep(situation, key, ts)
    elif key not in situation.folded.exits:
        if is_read:
            yield from _orphans(situation, key, at, ts)
        yield from _cover(situation, key, at, ts, world)


def on_mark(situation: Situation, key: str, ts: Nanos, world: World) -> Outputs:
    """A stop that does not rest, and the market has moved."""
    plan, at, folded = situation.plan(key), situation.position(key), situation.folded
    if plan is not None and plan.tries and key in folded.broken and key not in folded.removed and key not in folded.exits:
        yield from _leave_if_passed(situation, key, plan, at, ts, world)


def _leave_if_passed(situation: Situation, key: str, plan: Plan, at: Decimal, ts: Nanos, world: World) -> Outputs:
    """Out at market: what a stop would have done by now. After an exit that came to nothing, not at every mark."""
    _, possible = situation.orders.covering(key, Purpose.PROTECT, exit_side(at))
    rested = ts >= situation.folded.gave_up.get(key, ts - _REST) + _REST
    if possible < abs(at) and plan.side.sign * at > ZERO and rested and _is_passed(plan, at, world):
        asked = ask(plan, Purpose.REDUCE, ts, f"the stop {plan.stop} was refused and the mark is through it",
                    side=exit_side(at), quantity=None, leg="exit")
        yield ExitBegun(plan.account, plan.instrument, asked)
        yield from exits.advance(situation, key, ts)


def _orphans(situation: Situation, key: str, at: Decimal, ts: Nanos) -> Outputs:
    """The broker lists our stop and no position under it, twice: somebody else has closed it, and the stop would open the
    other way. Our own book keeps the position; that difference is a person's to decide."""
    account, _, instrument = key.partition("|")
    told, since = situation.ears.told.get(AccountName(account)), situation.folded.theirs.get(key)
    if told is None or since is None or ts - since < T_PROTECT or told.positions.get(instrument) or told.settled.get(instrument):
        return
    for record in situation.orders.open_at(key):
        is_exit = record.leg.purpose is not Purpose.ENTER and record.leg.side is exit_side(at)
        if is_exit and record.leg.client_order_id in told.orders and not situation.is_cancelling(record):
            yield CancelRequested(record.account, record.leg.client_order_id, "the broker shows the position flat")


def _alarms(situation: Situation, key: str, at: Decimal, ts: Nanos, *, is_read: bool) -> Outputs:
    folded = situation.folded
    ours, theirs = folded.broken.get(key), folded.theirs.get(key)
    account, _, instrument = key.partition("|")
    name, code = f"protection.{account}.{instrument}", f"protection.{instrument}"
    if ours is None and theirs is None:
        yield from situation.clear(name)
        if f"{account}|{code}" in folded.frozen:
            yield AccountThawed(AccountName(account), code)
        return
    allowed = T_PROTECT if at else T_ORPHAN
    plan = situation.plan(key)
    is_refused = at != ZERO and plan is not None and plan.tries > 1   # two refusals are enough to know
    is_ours = ours is not None and (ts - ours >= allowed or is_refused)
    is_theirs = theirs is not None and is_read and ts - theirs >= allowed
    if not is_ours and not is_theirs:
        return
    confirmed, _ = situation.orders.covering(key, Purpose.PROTECT, exit_side(at))
    why = ("a person removed it" if key in folded.removed else "an exit is under way" if key in folded.exits
           else "the broker lists otherwise" if not is_ours else "no recorded stop" if plan is None
           else f"refused {plan.tries} times" if is_refused else f"for more than {allowed / 1e9:g} s")
    text = (f"{account}: {instrument} position {plain(at)}, live stops {plain(confirmed)} ({why})" if at else
            f"{account}: {instrument} is flat and an exit order is still live" if is_ours else
            f"{account}: {instrument} is flat in our books, and at the broker its stops do not add up to its position")
    yield from situation.alarm(name, text)
    if f"{account}|{code}" not in folded.frozen:
        yield AccountFrozen(AccountName(account), code, text)


def _cover(situation: Situation, key: str, at: Decimal, ts: Nanos, world: World) -> Outputs:
    plan = situation.plan(key)
    if plan is None or key in situation.folded.removed or plan.side.sign * at < ZERO:
        return                                            # no recorded stop of ours: _alarms has called a person
    theirs = situation.ears.position(plan.account, plan.instrument)
    if theirs is not None and theirs * at <= ZERO:
        return                                            # by the broker's word there is nothing to protect
    if situation.orders.owed(key, exit_side(at)):
        return                                            # an exit has filled; its execution is asked for, and is not booked yet
    need = abs(at)
    confirmed, possible = situation.orders.covering(key, Purpose.PROTECT, exit_side(at))
    if possible < need and 0 < plan.tries < TRIES_MAX and _is_passed(plan, at, world):
        yield from _leave_if_passed(situation, key, plan, at, ts, world)
        return
    yield from _adjust(situation, key, plan, Purpose.PROTECT, need, possible, ts)
    if (confirmed == need and plan.target is not None and not plan.is_linked
            and situation.profile(plan.account).pair_may_rest):
        if any(stop.filled for stop in _resting(situation, key, Purpose.PROTECT, at)):
            need = ZERO                                   # the stop is filling: its sibling goes
        _, possible = situation.orders.covering(key, Purpose.TARGET, exit_side(at))
        yield from _adjust(situation, key, plan, Purpose.TARGET, need, possible, ts)


def _adjust(situation: Situation, key: str, plan: Plan, purpose: Purpose, need: Decimal, possible: Decimal,
            ts: Nanos) -> Outputs:
    if possible < need:
        if not situation.is_pending(key, purpose) and plan.tries < TRIES_MAX and ts >= plan.ts_retry:
            yield from _more(situation, key, plan, purpose, need, need - possible, ts)
    elif not situation.is_pending(key, purpose):
        yield from _less(situation, key, plan, purpose, need, ts)


def _more(situation: Situation, key: str, plan: Plan, purpose: Purpose, need: Decimal, missing: Decimal,
          ts: Nanos) -> Outputs:
    """Ask for the missing quantity, once nothing else that may fill stands in its way."""
    at, orders, role = situation.position(key), situation.orders, ROLE[purpose]
    profile = situation.profile(plan.account)
    if purpose is Purpose.PROTECT and not profile.pair_may_rest:
        long, short = orders.worst_case(plan.account, plan.instrument)
        could_exit = at - short if at > ZERO else long - at
        if could_exit + missing > need:
            for target in _resting(situation, key, Purpose.TARGET, at):
                if not situation.is_cancelling(target):
                    yield CancelRequested(plan.account, target.leg.client_order_id, "makes room for the stop")
            for record in orders.open_at(key):
                is_against = record.leg.purpose is Purpose.ENTER and record.leg.side is exit_side(at)
                if is_against and not situation.is_cancelling(record):
                    yield CancelRequested(record.account, record.leg.client_order_id, "an entry against the position")
            return
    live = [record for record in _resting(situation, key, purpose, at) if not orders.is_child(record)]
    why = f"{role} for {plain(need)} {plan.instrument}"
    if live and profile.capabilities.has_replace:
        last = live[-1]
        if isinstance(last.state, Working) and not last.is_cancel_requested:
            yield _replacement(situation, plan, purpose, last, last.remaining + missing, ts, why)
        return                                            # else: wait for the answer about it
    leg = situation.spare_leg(plan.signal_id, plan.account, role) if live else role
    yield ask(plan, purpose, ts, why, side=exit_side(at), quantity=missing, leg=leg,
              generation=situation.generation(plan.signal_id, plan.account, leg))


def _less(situation: Situation, key: str, plan: Plan, purpose: Purpose, need: Decimal, ts: Nanos) -> Outputs:
    """Shrink what rests to the position, newest first. A venue is given its time to resize what it links."""
    at, orders = situation.position(key), situation.orders
    live = [record for record in _resting(situation, key, purpose, at) if isinstance(record.state, Working)
            and record.state.is_live and not situation.is_cancelling(record)]
    extra = sum((record.remaining for record in live), ZERO) - need
    for record in reversed(live):
        if extra <= ZERO:
            return
        if orders.is_child(record) and ts - situation.folded.broken.get(key, ts) < T_PROTECT:
            return
        has_replace = situation.profile(plan.account).capabilities.has_replace and not orders.is_child(record)
        if has_replace and record.remaining > extra:
            yield _replacement(situation, plan, purpose, record, record.remaining - extra, ts,
                               f"{ROLE[purpose]} shrinks to {plain(need)}")
            return
        if record.remaining <= extra:                     # else the position would stand naked: a person has been called
            yield CancelRequested(plan.account, record.leg.client_order_id, f"more than the position of {plain(need)}")
            extra -= record.remaining


def _replacement(situation: Situation, plan: Plan, purpose: Purpose, last: OrderRecord, quantity: Decimal, ts: Nanos,
                 why: str) -> AccountIntent:
    role = ROLE[purpose]
    return ask(plan, purpose, ts, why, side=last.leg.side, quantity=quantity, leg=role,
               generation=situation.generation(plan.signal_id, plan.account, role),
               replaces=last.leg.client_order_id)


def _resting(situation: Situation, key: str, purpose: Purpose, at: Decimal) -> list[OrderRecord]:
    """Open orders of a purpose on the exit side; a market order that takes the target out is an exit."""
    side = exit_side(at)
    return [record for record in situation.orders.open_at(key)
            if record.leg.purpose is purpose and record.leg.side is side and record.leg.type is not OrderType.MARKET]


def _is_passed(plan: Plan, at: Decimal, world: World) -> bool:
    mark = world.mark(plan.instrument)
    return mark is not None and (mark.bid <= plan.stop if at > ZERO else mark.ask >= plan.stop)
