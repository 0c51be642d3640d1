"""A live desk for tests: a venue that calls itself live, and a person who starts the desk in a terminal."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.scenarios.desk import Desk, configured

from interlock.brokers.paper.paper import Paper
from interlock.config.schema import Config
from interlock.engine.setup import Setup
from interlock.ports import Clock
from interlock.runtime.connect import Venue, capabilities
from interlock.runtime.live import PHRASE, Start

NUMBER = "PAPER-0001-live-a"
OTHER = "PAPER-0002-live-b"
PERSON = Start("alice", "/dev/pts/1", PHRASE)
SERVICE = Start("alice", "", PHRASE)

LIVE = {
    'mode = "paper" ': 'mode = "live" ',
    'kind = "paper"\n': 'kind = "loopback"\nenvironment = "live"\nport = 1\ntoken = "venue_token"\n',
    '[accounts.paper-a]\nbroker = "paper"\nbalance = "50000"\n':
        f'[accounts.live-a]\nbroker = "paper"\nnumber = "{NUMBER}"\nsafe.symbols = ["MES", "MNQ"]\n',
    '[accounts.paper-b]\nbroker = "paper"\nbalance = "50000"\n':
        f'[accounts.live-b]\nbroker = "paper"\nnumber = "{OTHER}"\nsafe.symbols = ["MES", "MNQ"]\n',
    '["paper-a", "paper-b"]': '["live-a", "live-b"]',
}


RELEASES = """
[[releases]]
name = "CPI"
at = "2023-12-12T08:30:00-05:00"
"""


def live_text(**changes: str) -> str:
    """The shipped configuration made live, with pieces of its text replaced."""
    text = configured(replace=LIVE)
    for old, new in changes.items():
        assert old in text, f"the live configuration has no {old!r}"
        text = text.replace(old, new)
    return text + RELEASES


def venue_that_calls_itself(environment: str, *, knows: Sequence[str] = ("live-a", "live-b")) -> Callable[..., Sequence[Venue]]:
    """A connector to the paper venue, with that name for its environment."""

    def connect(config: Config, setup: Setup, directory: Path | None, clock: Clock, wake: Callable[[], None]) -> Sequence[Venue]:
        assert directory is not None
        (section,) = config.brokers.values()
        paper = Paper(dict(setup.instruments), dict.fromkeys(config.accounts, Decimal(50_000)), path=directory / "paper-book.db",
                      capabilities=capabilities(section), clock=clock)
        paper.venue._environment = environment
        return [paper]

    return connect


AT_LIVE = venue_that_calls_itself("live")
AT_PAPER = venue_that_calls_itself("paper_sim")


def look(desk: Desk, account: str) -> dict[str, Any]:
    """The account as the page shows it now."""
    reply = desk.http("GET", "/api/confirm", headers=bearer(desk))
    return next(row for row in reply.body["accounts"] if row["account"] == account)


def confirm(desk: Desk, account: str, typed: str | None = None, seen: str | None = None) -> Any:
    """A person confirms in the page what the page shows."""
    shown = look(desk, account)
    body = f'{{"account": "{account}", "typed": "{shown["number"] if typed is None else typed}", ' \
           f'"seen": "{shown["digest"] if seen is None else seen}"}}'
    return desk.http("POST", "/api/confirm", body.encode(), headers=bearer(desk))


def bearer(desk: Desk) -> dict[str, str]:
    from interlock.web.serve import page_token

    return {"authorization": f"Bearer {page_token(desk.directory)}", "content-type": "application/json"}
