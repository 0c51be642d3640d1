"""`interlock run`: the main job."""

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.answer import FOUND, MISUSE, errors_said, leave, story
from interlock.cli.progress import Progress

HELP = """Run the desk: market, strategies, alert hook, gate, paper venue, journal and page.

Without --data it trades the simulated market. With --data it plays recordings at --speed.

Example: interlock run --state ~/interlock --data es_1m.parquet --speed 60
"""
DECLINED = """interlock: live was declined; the desk is disconnected and has ended.
To trade on paper: interlock init --state DIR, then interlock run --state DIR, with a directory of its own"""


def command(
    state: Annotated[Path, typer.Option("--state", envvar="INTERLOCK_STATE", help="The state directory.", file_okay=False)],
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The page and the API.")] = None,
    hook_port: Annotated[int | None, typer.Option(min=1, max=65535, help="The alert hook alone; point tunnels here.")] = None,
    data: Annotated[list[str], typer.Option("--data", metavar="[SYMBOL=]FILE", help="A recording; may be repeated.")] = [],  # noqa: B006
    speed: Annotated[str, typer.Option(help='Of playback: a factor such as 60, or "max".')] = "60",
    approve: Annotated[str, typer.Option(metavar="HASH", help="The changed configuration that a live desk may start with.")] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Look on: a live desk that places nothing, whoever starts it.")] = False,
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
        from interlock.cli.confirm import ask_beside
        from interlock.runtime.live import this_start
        from interlock.web.serve import serve

        was_live = serve(state, port=port, hook_port=hook_port, data=data, speed=factor, is_bad_allowed=allow_bad,
                         on_progress=Progress("played") if data else None,
                         start=this_start(wants_watch=watch, approved=approve), on_ready=ask_beside)
    if not was_live:
        story(DECLINED)
        leave(FOUND)
