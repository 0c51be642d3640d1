"""A floor as its book remembers it, after the process that held it has ended at any instant."""

from collections.abc import Mapping
from decimal import Decimal

from interlock.brokers.paper.account import Account
from interlock.brokers.paper.floor import Floor
from interlock.brokers.paper.rows import AccountRow, ExecutionRow, OrderRow, PositionRow, State
from interlock.matching import BookOrder, Bracket, Phase

_PHASES = {State.WAITING: Phase.WAITING, State.LIVE: Phase.LIVE, State.TAKING: Phase.TAKING}


def restore_accounts(floor: Floor, balances: Mapping[str, Decimal]) -> None:
    """Accounts of the book as they stand there; new ones with their opening balance."""
    for row in floor.book.rows(AccountRow):
        floor.accounts[row.name] = Account(row.name, row.number, row.cash, row.currency)
    for name, cash in balances.items():
        if name not in floor.accounts:
            account = Account(name, f"PAPER-{len(floor.accounts) + 1:04d}-{name}", cash)
            floor.accounts[name] = account
            floor.book.save(account.row())
    for position in floor.book.rows(PositionRow):
        if position.quantity:
            floor.accounts[position.account].positions[position.symbol] = position
    floor.book.commit()


def restore_orders(floor: Floor) -> list[OrderRow]:
    """Put every open order back where it was. Returns the open rows: who is on the way has still to be scheduled."""
    for execution in floor.book.rows(ExecutionRow):
        floor.executions.setdefault(execution.account, []).append(execution)
        floor.execution_count += 1
        floor.schedule.now = max(floor.schedule.now, execution.ts)
    groups: dict[tuple[str, str], list[OrderRow]] = {}
    for row in floor.book.rows(OrderRow):
        floor.rows[row.key] = row
        floor.schedule.now = max(floor.schedule.now, row.ts)
        groups.setdefault((row.account, row.parent), []).append(row)
    for (account, parent), rows in groups.items():
        if any(row.state is not State.CLOSED for row in rows):
            _restore_group(floor, floor.rows[account, parent], rows)
    return [row for row in floor.rows.values() if row.state is not State.CLOSED]


def _restore_group(floor: Floor, parent_row: OrderRow, rows: list[OrderRow]) -> None:
    """One order, or a bracket; closed members stand in their bracket and nowhere else."""
    parent = floor.order_of(parent_row)
    children = {row.key: floor.order_of(row) for row in rows if row is not parent_row and _is_member(row)}
    if children:
        bracket = Bracket(parent, list(children.values()))
        bracket.entered = floor.lots(parent_row.symbol, parent_row.entered)
        bracket.exited = floor.lots(parent_row.symbol, parent_row.exited)
    for row in rows:
        order = parent if row is parent_row else children.get(row.key)
        if order is None:
            order = floor.order_of(row)            # a replacement on its way: it takes its place when it arrives
        _set(floor, order, row)


def _is_member(row: OrderRow) -> bool:
    return not (row.replaces and row.state is State.SENT)


def _set(floor: Floor, order: BookOrder, row: OrderRow) -> None:
    order.filled = floor.lots(row.symbol, row.filled)
    order.arrived = row.arrives
    if row.state is State.CLOSED:
        order.phase = Phase.CLOSED
        return
    floor.open[row.key] = order
    if row.state is State.SENT:
        order.phase = Phase.LIVE
        return
    parent = floor.rows[row.account, row.parent]
    if row.state is not State.WAITING:
        order.quantity = floor.lots(row.symbol, row.size)
    if parent.state is not State.SENT:             # else its parent brings it along
        floor.market(row.symbol).restore(order, _PHASES[row.state])
