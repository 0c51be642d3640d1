"""The command `interlock`. Imports stay inside the commands, so that `--help` answers at once."""

import typer

from interlock.cli import (
    account,
    accounts,
    check,
    codes,
    explain,
    export,
    init,
    journal,
    kill,
    orders,
    pine,
    positions,
    release,
    replay,
    run,
    status,
)

app = typer.Typer(
    name="interlock", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="A live-trading platform in which no order reaches a broker until every safety check has passed, "
         "and which can prove it.")

for module in (init, check, run, replay, status, accounts, orders, positions, explain, kill, release, pine, codes):
    app.command(name=module.__name__.rpartition(".")[2], help=module.HELP)(module.command)
app.add_typer(account.app, name="account")
app.add_typer(journal.app, name="journal")
app.add_typer(export.app, name="export")


def main() -> None:
    app()


if __name__ == "__main__":
    main()
