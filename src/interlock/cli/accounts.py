"""`interlock accounts`: each account, what it really is, and whether it takes entries."""

from interlock.cli.answer import Json, State, errors_said, existing, rows_or_json

HELP = """List the accounts: mode, truth label with its evidence, enabled or why not.

Example: interlock accounts --state ~/interlock
"""

COLUMNS = ("name", "account_id", "mode", "truth", "evidence", "enabled", "why", "balance")


def command(state: State, as_json: Json = False) -> None:
    with errors_said():
        from interlock.runtime.status import status_of

        rows = status_of(existing(state))["accounts"]
    rows_or_json(rows, as_json=as_json, title="Accounts", columns=COLUMNS, empty="no accounts")
