"""`interlock positions`: what is held, and how much of it is protected at the venue."""

from interlock.cli.answer import Json, State, errors_said, existing, rows_or_json

HELP = """List the open positions of a running or stopped state directory, and what protects them.

Example: interlock positions --state ~/interlock --json
"""

COLUMNS = ("account", "instrument", "quantity", "protected", "average_price", "stop", "target", "strategy")


def command(state: State, as_json: Json = False) -> None:
    with errors_said():
        from interlock.records import Records

        with Records.open(existing(state)) as records:
            rows = records.positions()
    rows_or_json(rows, as_json=as_json, title="Positions", columns=COLUMNS, empty="no open positions")
