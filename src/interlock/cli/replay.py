"""`interlock replay`: recordings through the same engine, as fast as it goes."""

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.answer import Json, errors_said, print_json, story, table
from interlock.cli.progress import Progress

HELP = """Play recordings through the same engine, gate and paper venue that `run` uses, and say what came of it.

Needs no state directory and touches none. DATA is FILE or SYMBOL=FILE (Parquet or CSV; bars or trades); repeat it for
several instruments, which are merged in time.

Example: interlock replay --data MNQ=nq_1m.parquet --data es_1m.parquet
"""


def command(
    data: Annotated[list[str], typer.Option("--data", metavar="[SYMBOL=]FILE", help="A recording; may be repeated.")] = [],  # noqa: B006
    config: Annotated[Path | None, typer.Option(help="A configuration file instead of the shipped one.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Keep the journal in this new directory, for explain and export.")] = None,
    simulated: Annotated[str | None, typer.Option(metavar="DAYS[@START]", help="The simulated market instead of files.")] = None,
    allow_bad: Annotated[bool, typer.Option("--allow-bad", help="Accept a file with more than 1 % bad rows.")] = False,
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.runtime.replay import replay

        answer = replay(data, config=config, journal=journal, simulated=simulated, is_bad_allowed=allow_bad,
                        on_progress=None if as_json else Progress("replay"))
    if as_json:
        print_json(answer)
        return
    for note in answer["notes"]:
        story(note)
    print(f"{answer['bars']} bars, {answer['signals']} signals, {answer['orders']} orders, {answer['fills']} fills "
          f"in {answer['seconds']:.2f} s ({answer['bars'] / max(answer['seconds'], 1e-9):,.0f} bars/s)")
    table("Round trips", ("account", "trades", "won", "net"),
          [[row["account"], str(row["trades"]), str(row["won"]), row["net"]] for row in answer["results"]], empty="none")
    table("Refused by the gate", ("code", "times"),
          [[code, str(count)] for code, count in answer["refusals"].items()], empty="the gate refused nothing")
    if answer["dropped"]:
        table("Rows left out", ("reason", "rows"), [[name, str(count)] for name, count in answer["dropped"].items()], empty="")
    print(f"digest {answer['digest']}")

