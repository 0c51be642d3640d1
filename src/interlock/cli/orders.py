"""`interlock orders`: every order, with its state."""

from interlock.cli.answer import Json, State, errors_said, existing, rows_or_json

HELP = """List the orders of a running or stopped state directory.

Example: interlock orders --state ~/interlock --json
"""

COLUMNS = ("client_order_id", "signal_id", "account", "instrument", "side", "quantity", "filled", "state", "outcome", "purpose")


def command(state: State, as_json: Json = False) -> None:
    with errors_said():
        from interlock.records import Records

        with Records.open(existing(state)) as records:
            rows = records.orders()
    rows_or_json(rows, as_json=as_json, title="Orders", columns=COLUMNS, empty="no orders")
