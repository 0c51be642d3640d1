"""`interlock pine`: what to paste into TradingView."""

import json
from typing import Annotated

import typer

from interlock.cli.answer import Json, State, errors_said, existing, print_json

HELP = """Print the alert message of a strategy and the steps to set it up in TradingView.

With --sample: a filled-in alert, new at each call, that the running lane would accept now (needs a running engine).

Example: interlock pine demo --state ~/interlock
"""


def command(
    state: State,
    strategy: Annotated[str, typer.Argument(help="An alert strategy of the configuration.")],
    sample: Annotated[bool, typer.Option("--sample", help="A filled-in alert instead of the template.")] = False,
    action: Annotated[str, typer.Option(help="With --sample: buy, sell or close.")] = "buy",
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.runtime.pine import sample_alert, template

        answer = sample_alert(existing(state), strategy, action) if sample else template(existing(state), strategy)
    if as_json:
        print_json({"url": answer["url"], "message": answer["message"]})
        return
    print(f"POST {answer['url']}")
    print(json.dumps(answer["message"], indent=2))
    for line in answer["steps"]:
        print(line)
