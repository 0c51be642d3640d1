"""Write examples/mnq_1m.csv: one day of the simulated market as a recording, so that playback can be tried without data.

The market of a seed is the same on every machine, and so is the file.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from interlock.feeds.simulated import SimulatedMarket
from interlock.model.instrument import INSTRUMENTS
from interlock.model.money import DAY, MINUTE

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "examples" / "mnq_1m.csv"
SEED = 7
START = 1_700_438_400_000_000_000
"""Monday 2023-11-20 00:00 UTC."""


def recording() -> str:
    """The text of the file."""
    instrument = INSTRUMENTS["MNQ"]
    lines = ["ts_event,open,high,low,close,volume"]
    for bar in SimulatedMarket(SEED, [instrument]).bars("MNQ", MINUTE, START, START + DAY):
        at = datetime.fromtimestamp(bar.ts_event // 1_000_000_000, UTC)
        prices = ",".join(str(instrument.price(price)) for price in (bar.open, bar.high, bar.low, bar.close))
        lines.append(f"{at:%Y-%m-%dT%H:%M:%SZ},{prices},{bar.volume}")
    return "\n".join(lines) + "\n"


def main() -> int:
    TARGET.write_text(recording())
    return 0


if __name__ == "__main__":
    sys.exit(main())
