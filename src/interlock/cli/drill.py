"""`interlock drill`: a kill drill on paper accounts."""

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.answer import FOUND, Json, errors_said, existing, leave, print_json

HELP = """Hold a kill drill: a desk and a venue of its own, orders at rest, a kill, and the venue's word that none is left.

Nothing of your own desk is touched. With --state the result goes into that desk's journal.

Example: interlock drill --orders 20 --state ~/interlock
"""


def command(
    orders: Annotated[int, typer.Option(min=1, max=200, help="How many entries rest when the kill is given.")] = 20,
    state: Annotated[Path | None, typer.Option("--state", envvar="INTERLOCK_STATE", help="Record the result here.",
                                               file_okay=False)] = None,
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.runtime.drill import drill, record

        directory = None if state is None else existing(state)
        result = drill(orders)
        if directory is not None:
            record(directory, result)
    if as_json:
        print_json({"orders": result.orders, "cancelled": result.cancelled, "confirmed_ms": result.confirmed_ms})
    else:
        print(f"{result.cancelled} of {result.orders} orders cancelled; the venue's own list was empty "
              f"{result.confirmed_ms:.1f} ms after the command")
    if result.cancelled != result.orders:
        leave(FOUND)
