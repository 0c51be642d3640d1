"""`interlock kill`: the latch that stops all new risk."""

from typing import Annotated

import typer

from interlock.cli.answer import Json, State, errors_said, existing, print_json

HELP = """Kill: strategies off, risk-increasing orders cancelled, latched until `release`. Protective exits are kept.

Example: interlock kill --state ~/interlock --why "news"
"""


def command(
    state: State,
    why: Annotated[str, typer.Option(help="Why; it stands in the journal.")] = "by hand",
    lane: Annotated[str | None, typer.Option(help="Only this lane.")] = None,
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    scope: Annotated[str, typer.Option(help='"risk" keeps protective exits; "all" cancels them too.')] = "risk",
    number: Annotated[str, typer.Option(help='The full number, for scope "all" where a live account is not confirmed.')] = "",
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.model.command import Kill
        from interlock.runtime.commands import give

        answer = give(existing(state), Kill(why=why, lane=lane, account=account, scope=scope, typed=number))  # type: ignore[arg-type]
    if as_json:
        print_json(answer)
        return
    print(f"killed {answer['reach']}: {answer['why']}")
    print(f"{len(answer['orders_to_cancel'])} orders are being cancelled; {len(answer['positions'])} positions stay open")
    for position in answer["positions"]:
        print(f"  {position['account']} {position['instrument']} {position['quantity']}")
    if not answer["running"]:
        print("no engine is running: the latch is in the journal and holds from the next start; nothing was cancelled")
