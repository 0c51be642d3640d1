"""The health stage with a world that a test sets, driven as the engine drives it."""

from collections.abc import Mapping
from decimal import Decimal

from interlock.health.stage import Health, Sight
from interlock.health.table import Vital
from interlock.model.entry import Payload
from interlock.model.ids import AccountName, LaneName
from interlock.model.market import Proof
from interlock.model.money import SECOND, Nanos
from interlock.model.record import Reading, Started, TierChanged
from interlock.model.report import LineChanged

BEGIN: Nanos = 1_700_000_000 * SECOND
A, LANE = AccountName("paper-a"), LaneName("main")
STARTED = Started("build", "0", 1, {}, True)


class Room:
    """What the stage may ask: everything is well until a test says otherwise."""

    def __init__(self) -> None:
        self.ts = BEGIN
        self.quotes: dict[str, Nanos | None] = {"MES": BEGIN}
        self.is_open = self.is_usable = self.is_up = True
        self.ts_open: Nanos = 0
        self.ts_proof: Nanos | None = BEGIN
        self.at_risk: dict[tuple[str, AccountName, str], bool] = {}
        self.bad: tuple[Vital, ...] = ()
        self.figures: tuple[Decimal | None, Decimal | None, str] | None = (Decimal(0), Decimal(1000), "2023-11-14")

    def now(self) -> Nanos:
        return self.ts

    def sight(self, instrument: str, now: Nanos) -> Sight:
        return Sight(self.quotes.get(instrument), self.is_usable, self.ts_open, self.is_open)

    def risk(self, _account: AccountName | None = None) -> Mapping[tuple[str, AccountName, str], bool]:
        return self.at_risk

    def line(self, account: AccountName, now: Nanos) -> tuple[bool, Nanos | None]:
        return self.is_up, self.ts_proof

    def degraded(self, account: AccountName, now: Nanos) -> tuple[Vital, ...]:
        return self.bad

    def rests(self, account: AccountName) -> tuple[Nanos, ...]:
        return ()

    def day(self, account: AccountName) -> tuple[Decimal | None, Decimal | None, str] | None:
        return self.figures

    def near(self) -> dict[str, tuple[float, float]]:
        return {}


class Rig:
    """Second by second. `is_quoted`, `is_proved`, `is_read` say what comes each second."""

    def __init__(self, clock: str = "wall") -> None:
        self.world = Room()
        self.health = Health({LANE: ("MES",)}, {A: 0}, clock=clock, world=self.world)
        self.said: list[Payload] = []
        self.is_quoted = self.is_proved = self.is_clock_read = True
        self.off = 0.0
        self.give(STARTED)
        self.give(LineChanged(A, True, 1, ""))
        self.go(1)

    def give(self, payload: Payload) -> None:
        """One input, and the look that follows."""
        self.health.begin()
        self.health.apply(payload, self.world.ts)
        self.look()

    def look(self) -> None:
        while self.health.is_due(self.world.ts):
            for output in self.health.look(self.world.ts):
                self.said.append(output)
                self.health.apply(output, self.world.ts)

    def go(self, seconds: int) -> None:
        for _ in range(seconds):
            self.world.ts += SECOND
            now = self.world.ts
            if self.is_proved:
                self.world.ts_proof = now
                self.health.on_market(Proof(A, 1, now, now), now)
            if self.is_quoted:
                self.world.quotes["MES"] = now
                self.health.kept.ts_market = self.health.kept.ts_market or now
            if self.is_clock_read:
                self.give(Reading("clock_offset", "", self.off))
            self.health.begin()
            self.look()

    @property
    def tier(self) -> int:
        return self.health.tier(LANE, A)[0]

    @property
    def reasons(self) -> str:
        return "; ".join(self.health.tier(LANE, A)[1])

    def changes(self) -> list[tuple[str, int, int]]:
        return [(said.scope, said.before, said.tier) for said in self.said
                if isinstance(said, TierChanged) and said.before != said.tier]
