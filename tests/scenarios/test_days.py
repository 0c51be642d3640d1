"""Whole mornings as text: what came in on the left, what the desk made of it on the right."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.scenarios.desk import NOW, Desk

from interlock.model.account import ClosedTrade
from interlock.model.command import DisableAccount, EnableAccount, Kill
from interlock.model.ids import AccountName
from interlock.model.money import SECOND, Nanos

DAYS = Path(__file__).with_name("days")
MIDNIGHT: Nanos = NOW - (9 * 3600 + 10 * 60) * SECOND     # Chicago's


class Day:
    """Plays one file."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.signal_id = ""

    def do(self, words: list[str]) -> str:
        """Carry out one line; returns what there is to see, in the words of the right-hand side."""
        return str(getattr(self, f"_{words[0]}")(*words[1:]) or "")

    def _alert(self, action: str, *pairs: str) -> str:
        levels = dict(zip(pairs[::2], pairs[1::2], strict=True))
        reply = self.desk.post(self.desk.alert(action, **levels))
        self.signal_id = reply.signal_id
        return reply.code

    def _gate(self) -> str:
        return _listed(self.desk.codes(self.signal_id).items())

    def _held(self) -> str:
        held = self.desk.positions()
        assert {key: quantity for key, (quantity, _) in held.items()} == self.desk.booked(), "ours is the venue's"
        return _listed((account, f"{quantity} protected {stops}") for (account, _), (quantity, stops) in held.items())

    def _working(self) -> str:
        return _listed((row["account"], row["purpose"]) for row in self.desk.orders() if row["state"] != "closed")

    def _labels(self) -> str:
        return _listed((account, self.desk.truth(account)) for account in ("paper-a", "paper-b"))

    def _trades(self) -> str:
        return str(len(self.desk.entries(ClosedTrade)))

    def _price(self, price: str) -> None:
        self.desk.quote("MES", price)

    def _kill(self, *why: str) -> None:
        self.desk.command(Kill(why=" ".join(why)))

    def _disable(self, account: str) -> None:
        self.desk.command(DisableAccount(account=AccountName(account), why="by hand"))

    def _enable(self, account: str) -> None:
        self.desk.command(EnableAccount(account=AccountName(account)))

    def _silence(self) -> None:
        self.desk.paper.wire.silence()

    def _heal(self) -> None:
        self.desk.paper.wire.heal()


def _listed(rows: Any) -> str:
    return ", ".join(f"{name} {what}" for name, what in sorted(rows)) or "nothing"


def lines_of(path: Path) -> Iterator[tuple[int, Nanos, list[str], str]]:
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        at, what, *expected = re.split(r"\s{2,}", line.strip())
        hours, minutes, seconds = map(int, at.split(":"))
        yield number, MIDNIGHT + (hours * 3600 + minutes * 60 + seconds) * SECOND, what.split(), expected[0] if expected else ""


@pytest.mark.parametrize("path", sorted(DAYS.glob("*.txt")), ids=lambda path: path.stem)
def test_the_day_went_as_it_is_written(desk_of, path):
    desk = desk_of()
    day = Day(desk)

    for number, at, words, expected in lines_of(path):
        desk.go((at - desk.clock.now()) / SECOND)
        found = day.do(words)
        if expected:
            assert found == expected, f"{path.name}, line {number}: {' '.join(words)}"
