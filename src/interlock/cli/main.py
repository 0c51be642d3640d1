"""The command `interlock`. Imports stay inside the commands, so that `--help` answers at once."""

from typing import Annotated

import typer

from interlock import __version__
from interlock.cli import (
    account,
    accounts,
    check,
    codes,
    confirm,
    decide,
    decisions,
    drill,
    enable,
    explain,
    export,
    flatten,
    init,
    journal,
    kill,
    orders,
    pine,
    positions,
    reconcile,
    reconnect,
    release,
    replay,
    run,
    simulate,
    status,
    venue,
    watchdog,
)

app = typer.Typer(
    name="interlock", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="A live-trading platform in which no order reaches a broker until every safety check has passed, "
         "and which can prove it.")


def _say_version(is_asked: bool) -> None:
    if is_asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def root(version: Annotated[bool, typer.Option(
        "--version", is_eager=True, callback=_say_version, help="Print the version and leave.")] = False) -> None:
    del version                        # its callback has answered


for module in (init, check, run, confirm, replay, status, accounts, orders, positions, explain, kill, release, flatten,
               decisions, decide, reconcile, reconnect, enable, drill, simulate, watchdog, pine, codes):
    app.command(name=module.__name__.rpartition(".")[2], help=module.HELP)(module.command)
app.add_typer(account.app, name="account")
app.add_typer(journal.app, name="journal")
app.add_typer(export.app, name="export")
app.add_typer(venue.app, name="venue")


def main() -> None:
    app()


if __name__ == "__main__":
    main()
