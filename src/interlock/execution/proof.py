"""What a kill has really brought about, account by account, by the broker's own list.

A list proves something only if it was asked for after the last attempt that could still arrive (the venue's visibility
delay later) and nothing of ours that the kill reaches is open or in doubt. Until then it is not said to be clean; after a
while it is said what is left, and asked again and again until nothing is.
"""

from decimal import Decimal
from typing import Final

from interlock.execution import kill
from interlock.execution.exposure import ZERO
from interlock.execution.state import Outputs, Proof, Situation, World, backoff, earliest
from interlock.model.command import KillProved
from interlock.model.ids import AccountName, ClientOrderId
from interlock.model.money import SECOND, Nanos, plain
from interlock.model.record import CancelRequested, ReadRequested

T_CLEAN: Final[Nanos] = 5 * SECOND
"""After how long a kill that is not proven is said to be so."""
_SLOW: Final[Nanos] = 5 * SECOND


def on_tick(situation: Situation, ts: Nanos, world: World) -> Outputs:
    for account in tuple(situation.folded.proofs):
        yield from advance(situation, AccountName(account), ts, world)


def next_wake(situation: Situation) -> Nanos | None:
    times = []
    for account, proof in situation.folded.proofs.items():
        if not proof.is_clean:
            times += [proof.ts + T_CLEAN, proof.ts_read + backoff(proof.reads), proof.ts_read + _SLOW,
                      _visible(situation, AccountName(account))]
    return earliest(ts for ts in times if ts > situation.ts)


def advance(situation: Situation, account: AccountName, ts: Nanos, world: World, *, is_read: bool = False) -> Outputs:
    """Say what is proven, as soon as it is; ask again where nothing is."""
    proof = situation.folded.proofs.get(account)
    if proof is None or (proof.is_clean and not is_read):
        return
    is_open = any(True for _ in kill.standing(situation, account))
    told = situation.current(account)
    if told is not None and not is_open and told.ts_asked >= max(proof.ts, _visible(situation, account)):
        left = tuple(name for name, order in told.orders.items() if kill.adds_risk(situation, account, name, order))
        yield from _say(situation, account, proof, left, _notional(told.settled, world))
        if not left:
            return
        yield from _again(situation, account, left, ts)
    elif is_open or (told is None and ts >= proof.ts + T_CLEAN):
        if proof.is_clean or ts >= proof.ts + T_CLEAN:
            left = tuple(record.leg.client_order_id for record in kill.standing(situation, account))
            yield from _say(situation, account, proof, left, _notional(situation.held(account), world), is_clean=False)
        if told is not None and is_open and ts >= proof.ts + T_CLEAN:
            yield from _again(situation, account, tuple(name for name, order in told.orders.items()
                                                        if kill.adds_risk(situation, account, name, order)), ts)
    if is_open and ts < proof.ts_read + _SLOW:
        return                                            # their answers come first
    has_moved = proof.mark_asked != situation.ears.marks.get(account, 0)
    if ts < _visible(situation, account):
        return
    patience = _SLOW if situation.ears.is_asked(account) else backoff(proof.reads)
    if has_moved or ts >= proof.ts_read + patience:
        yield ReadRequested(account, "kill: is it clean")


def _visible(situation: Situation, account: AccountName) -> Nanos:
    """From when on a list shows whatever has been attempted."""
    delay = situation.profile(account).capabilities.visibility_delay
    attempted = situation.ears.attempted.get(account)
    return 0 if attempted is None else attempted + delay


def _again(situation: Situation, account: AccountName, names: tuple[ClientOrderId, ...], ts: Nanos) -> Outputs:
    """The broker still lists them: they are asked to go once more."""
    for name in names:
        asked = situation.orders.book.cancels.get(name)
        if asked is None or ts >= asked.ts_next:
            yield CancelRequested(account, name, "kill: still listed by the broker", kill.PERSON)


def _say(situation: Situation, account: AccountName, proof: Proof, left: tuple[ClientOrderId, ...], notional: Decimal | None,
         *, is_clean: bool | None = None) -> Outputs:
    is_clean = not left if is_clean is None else is_clean
    if (is_clean, left) != (proof.is_clean, proof.left):
        yield KillProved(account, proof.epoch, is_clean, left, notional)
    name = f"kill.{account}"
    if is_clean:
        yield from situation.clear(name)
        return
    value = "" if notional is None else f"; {plain(notional)} still at risk"
    named = f"{len(left)} orders may still add risk ({', '.join(left[:5])}{' ...' if len(left) > 5 else ''})" if left else (
        "the broker has not told what it holds")
    yield from situation.alarm(name, f"{account}: the kill is not proven: {named}{value}")


def _notional(held: dict[str, Decimal], world: World) -> Decimal | None:
    """What is open, at the mark; None: a price or a definition is missing."""
    total = ZERO
    for instrument, quantity in held.items():
        if not quantity:
            continue
        mark, definition = world.mark(instrument), world.instrument(instrument)
        if mark is None or definition is None:
            return None
        total += abs(quantity) * mark.mid * definition.multiplier
    return total
