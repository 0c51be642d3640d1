"""`interlock watchdog`: pages when the engine falls silent."""

import time
from typing import Annotated

import typer

from interlock.cli.answer import COULD_NOT, FINE, FOUND, Json, State, errors_said, existing, leave, print_json, story

HELP = """Watch the heartbeat and the lease of a desk from outside, and page when one is too old. It restarts nothing.

--notify runs a command with the sentence as its last argument; INTERLOCK_EVENT (silent, back, stopped) and INTERLOCK_LEVEL
(1 to 3, rising while it lasts) stand in its environment.

Example: interlock watchdog --state ~/interlock --notify "notify-send Interlock"
"""


def command(
    state: State,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 5.0,
    notify: Annotated[str | None, typer.Option(metavar="CMD", help="Run for every page, with the sentence.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once: 0 well, 1 silent, 3 no engine runs.")] = False,
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.rescue.watchdog import Health, Watchdog
        from interlock.rescue.watchdog import notify as tell

        directory = existing(state)
        dog = Watchdog(directory)
    while True:
        for event in dog.step():
            if as_json:
                print_json({"event": event.kind, "level": event.level, "text": event.text})
            else:
                print(f"{event.kind.upper()}{f' (level {event.level})' if event.level else ''}: {event.text}", flush=True)
            if notify and (wrong := tell(notify, directory, event)):
                story(f"interlock: {wrong}")
        if once:
            story(dog.finding.text)
            leave({Health.HEALTHY: FINE, Health.SILENT: FOUND, Health.STOPPED: COULD_NOT}[dog.finding.health])
        try:
            time.sleep(every)
        except KeyboardInterrupt:
            leave(FOUND if dog.is_paging else FINE)
