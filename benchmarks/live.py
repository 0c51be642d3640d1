"""A running desk under a stopwatch: `python -m benchmarks.live STATE PORT HOOK_PORT STAMPS`.

It is the service that `interlock run` builds, ports, control socket and simulated market included. The one addition is
that each request to the paper venue is stamped with the monotonic clock when its bytes have been handed to the wire; the
stamps are written to STAMPS when the service ends.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from interlock.config.load import load
from interlock.runtime.clock import WallClock
from interlock.runtime.sources import SimulatedMarketplace
from interlock.runtime.wiring import Built, state_place
from interlock.web.serve import Ports, Service


class Timed(Service):
    """The service of `interlock run`, with a stopwatch at each wire."""

    def build(self) -> Built:
        self.stamps: list[tuple[int, str]] = []
        built = super().build()
        for paper in built.papers:
            wire: Any = paper.wire
            wire.on_leaving = self._stamp
        return built

    def _stamp(self, kind: str, _body: bytes) -> None:
        self.stamps.append((time.monotonic_ns(), kind))


def main() -> None:
    directory, port, hook_port, stamps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    loaded, clock = load(directory), WallClock()
    table, feed = loaded.config.table(), loaded.config.feeds.simulated
    market = SimulatedMarketplace(feed.seed, [table[symbol] for symbol in feed.instruments], start=clock.now())
    with state_place(directory, f"benchmark (pid {os.getpid()})") as place:
        service = Timed(directory, loaded, clock, market, Ports("127.0.0.1", port, hook_port), place)
        uvloop.run(service.run())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    stamps.write_text(json.dumps({"stamps": service.stamps, "peak_mb": peak}))


if __name__ == "__main__":
    main()
