"""`interlock-kill`: the small second gate, for when the engine hangs or its disk is full."""

import getpass
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli.answer import Json, State, errors_said, existing, leave, print_json, story

if TYPE_CHECKING:
    from interlock.model.ids import AccountName
    from interlock.rescue.act import AccountResult

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def command(
    state: State,
    accounts: Annotated[list[str], typer.Option("--account", help="Only this account; may be repeated.")] = [],  # noqa: B006
    cancels_all: Annotated[bool, typer.Option("--all", help="Cancel protective stops and targets too.")] = False,
    flattens: Annotated[bool, typer.Option("--flatten", help="Close the positions too; asks for typed words.")] = False,
    yes_flatten: Annotated[list[str], typer.Option(
        "--yes-flatten", metavar="ACCOUNT", help="Close this account without asking; may be repeated.")] = [],  # noqa: B006
    why: Annotated[str, typer.Option(help="Why; it stands in the rescue's journal.")] = "by hand",
    journal: Annotated[Path | None, typer.Option(help="Directory of the rescue's journal; on other storage if you can.")] = None,
    as_json: Json = False,
) -> None:
    """Take the lease from an engine that hangs, cancel at the brokers what could add risk, and prove it. With --flatten, close.

    It asks the brokers itself, with a credential and a key of its own, and needs no engine. Afterwards the engine that held
    the lease can write nothing; the next start begins killed.

    Example: interlock-kill --state ~/interlock --yes-flatten paper-a
    """
    with errors_said():
        from interlock.rescue.run import Wish, rescue, status_of

        wish = Wish(who=getpass.getuser(), why=why, accounts=tuple(accounts), cancels_all=cancels_all,
                    flattens=flattens or bool(yes_flatten), confirmed=tuple(yes_flatten), journal=journal)
        answer = rescue(existing(state), wish, confirm=_confirm, say=story)
    if as_json:
        print_json(answer)
    else:
        for row in answer["accounts"]:
            left = f"{len(row['left'])} LEFT: {' '.join(row['left'])}" if row["left"] else "NOT KNOWN"
            name = row["account_id"] or "not named by its broker"
            print(f"{row['account']} ({name}): {len(row['cancelled'])} cancelled, {'clean' if row['clean'] else left}"
                  + (f", {row['result']}" if row["result"] else ""))
            for held in row["positions"]:
                print(f"  {held['instrument']} {held['quantity']}")
            if row["positions"]:
                print(f"  notional at the entry prices: {row['notional'] or 'not known'}")
            for line in row["why"]:
                print(f"  [{line['code']}] {line['reason']}")
    leave(status_of(answer))


def _confirm(results: "Sequence[AccountResult]") -> "Mapping[AccountName, str]":
    """Show what would be closed, and take the words that are shown with it; anything else is a no."""
    confirmed: dict[AccountName, str] = {}
    if not sys.stdin.isatty():
        story("[rescue.not_confirmed] this is no terminal: name the accounts with --yes-flatten")
        return confirmed
    for result in results:
        words = f"FLATTEN {result.account_id}"
        held = ", ".join(f"{position.instrument} {position.quantity}" for position in result.positions)
        story(f"{result.account}: {held}. Type {words} to close it, anything else to leave it:")
        if sys.stdin.readline().strip() == words:
            confirmed[result.account] = str(result.account_id)
    return confirmed


def main() -> None:
    app()


if __name__ == "__main__":
    main()
