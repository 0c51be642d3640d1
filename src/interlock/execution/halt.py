"""A halt by a health tier or by the day's loss: entries go, protection stays, a person is called with a prepared flatten.

It sends no closing order: a mismatch, missing quotes or a clock at fault make exactly the size or the price of a close
unknown, and what is known of the loss is no reason to hurry without a person.
"""

from interlock.execution.state import Outputs, Situation, prepared
from interlock.model.money import plain
from interlock.model.record import Alarm, CancelRequested
from interlock.model.signal import Purpose


def begin(situation: Situation, scope: str, why: str) -> Outputs:
    """Cancel what could increase exposure in a scope ("lane.main", "account.paper-a", "loss.paper-a")."""
    kind, _, name = scope.partition(".")
    reached = dict[str, str]()
    for record in situation.orders.open_orders():
        if name != (record.lane if kind == "lane" else record.account):
            continue
        if record.leg.purpose is Purpose.ENTER and not situation.is_cancelling(record):
            yield CancelRequested(record.account, record.leg.client_order_id, f"halt: {why}")
    for account in situation.profiles:
        if kind != "lane" and account != name:
            continue
        for instrument, at in situation.held(account).items():
            plan = situation.plan(f"{account}|{instrument}")
            if kind != "lane" or (plan is not None and plan.lane == name):
                reached[account] = f"{reached[account]}, {instrument} {plain(at)}" if account in reached else (
                    f"{account} holds {instrument} {plain(at)}")
    text = (f"{'; '.join(reached.values())}. Protection stays, nothing is closed without a person: "
            + "; ".join(prepared(account) for account in reached)) if reached else "nothing is held"
    key = f"halt.{scope}"
    if key not in situation.folded.alarms:
        yield Alarm(key, "critical", f"{scope} is halted ({why}): {text}")


def end(situation: Situation, scope: str) -> Outputs:
    yield from situation.clear(f"halt.{scope}")
