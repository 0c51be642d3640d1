"""What a venue without brackets lacks, and what is left over when a position is gone.

A target rests only where the venue links it to the stop, or where the account's profile lets an emulated pair rest.
Elsewhere it is held here: when the mark reaches it, the position is taken out like any other exit.
"""

from interlock.execution import exits
from interlock.execution.exposure import ZERO
from interlock.execution.state import T_PROTECT, Outputs, Situation, World, ask, exit_side
from interlock.model.money import Nanos
from interlock.model.record import CancelRequested, ExitBegun
from interlock.model.signal import Purpose


def is_target_held(situation: Situation, key: str) -> bool:
    """Whether this position's target is ours to watch."""
    plan, at = situation.plan(key), situation.position(key)
    return (plan is not None and plan.target is not None and not plan.is_linked and at * plan.side.sign > ZERO
            and not situation.profile(plan.account).pair_may_rest)


def on_mark(situation: Situation, key: str, ts: Nanos, world: World) -> Outputs:
    """Take the position out when the side it would be closed on has reached the target."""
    plan, at = situation.plan(key), situation.position(key)
    if plan is None or plan.target is None or key in situation.folded.exits or not is_target_held(situation, key):
        return
    mark = world.mark(plan.instrument)
    if mark is None or mark.is_halted or not mark.is_open:
        return
    reached = (mark.bid_size > 0 and mark.bid >= plan.target) if at > ZERO else (
        mark.ask_size > 0 and mark.ask <= plan.target)
    if reached:
        asked = ask(plan, Purpose.TARGET, ts, f"the mark has reached the target {plan.target}", side=exit_side(at),
                    quantity=None, leg="target", is_market=True)
        yield ExitBegun(plan.account, plan.instrument, asked)
        yield from exits.advance(situation, key, ts)


def sweep(situation: Situation, key: str, ts: Nanos) -> Outputs:
    """The position is flat: no stop, target or reducing order may outlive it.

    Children whose entry may still fill are waiting, not orphans. Those that the venue links it cancels itself; it is
    helped when that takes too long.
    """
    orders = situation.orders
    for record in orders.open_at(key):
        if record.leg.purpose is Purpose.ENTER or situation.is_cancelling(record):
            continue
        if orders.is_child(record):
            parent = orders.by_id(record.parent)
            if parent is not None and parent.is_open:
                continue
            if ts - situation.folded.broken.get(key, ts) < T_PROTECT:
                continue
        yield CancelRequested(record.account, record.leg.client_order_id, "the position is flat")
