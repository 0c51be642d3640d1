"""`interlock run`: the main job."""

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.answer import MISUSE, errors_said, leave, story
from interlock.cli.progress import Progress

HELP = """Run the desk: market, strategies, alert hook, gate, paper venue, journal and page.

Without --data it trades the simulated market. With --data it plays recordings at --speed.

Example: interlock run --state ~/interlock --data es_1m.parquet --speed 60
"""


def command(
    state: Annotated[Path, typer.Option("--state", envvar="INTERLOCK_STATE", help="The state directory.", file_okay=False)],
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The page and the API.")] = None,
    hook_port: Annotated[int | None, typer.Option(min=1, max=65535, help="The alert hook alone; point tunnels here.")] = None,
    data: Annotated[list[str], typer.Option("--data", metavar="[SYMBOL=]FILE", help="A recording; may be repeated.")] = [],  # noqa: B006
    speed: Annotated[str, typer.Option(help='Of playback: a factor such as 60, or "max".')] = "60",
    allow_bad: Annotated[bool, typer.Option("--allow-bad", help="Accept a file with more than 1 % bad rows.")] = False,
) -> None:
    factor: float | None = None
    if speed != "max":
        try:
            factor = float(speed)
        except ValueError:
            factor = 0.0
        if not 0.0 < factor < 1e6:
            story(f'interlock: --speed must be a factor above zero or "max", found {speed!r}')
            leave(MISUSE)
    with errors_said():
        from interlock.web.serve import serve

        serve(state, port=port, hook_port=hook_port, data=data, speed=factor, is_bad_allowed=allow_bad,
              on_progress=Progress("played") if data else None)
