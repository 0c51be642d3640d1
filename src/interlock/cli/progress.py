"""How far a recording has been played, on stderr: a bar for a person, a line at each tenth for a log."""

import sys

from interlock.cli.answer import story


class Progress:
    """Call it with a share from 0 to 1. `tally` is what the bar is named."""

    def __init__(self, tally: str) -> None:
        self._tally = tally
        self._tenth = 0
        self._bar = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(tally, total=1.0)
            self._bar.start()

    def __call__(self, share: float) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=share)
            if share >= 1.0:
                self._bar.stop()
            return
        tenth = int(share * 10)
        if tenth > self._tenth:
            self._tenth = tenth
            story(f"{self._tally}: {tenth * 10} %")
