"""`interlock export trades`: round trips as CSV or JSON."""

import csv
import sys

import typer

from interlock.cli.answer import Json, State, errors_said, existing, print_json

app = typer.Typer(no_args_is_help=True, help="Export what the journal holds.")

COLUMNS = ("account", "instrument", "lane", "strategy", "signal_id", "side", "quantity", "entry_price", "exit_price", "gross",
           "commission", "net", "risk", "r_multiple", "is_stop_out", "opened", "closed")


@app.command()
def trades(state: State, as_json: Json = False) -> None:
    """Every closed round trip, oldest first, as CSV on stdout.

    Example: interlock export trades --state ~/interlock > trades.csv
    """
    with errors_said():
        from interlock.records import Records

        with Records.open(existing(state)) as records:
            rows = records.trades()
    if as_json:
        print_json(rows)
        return
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
