"""Two keys for live: the mode in the configuration, and a phrase in the environment of a person's own shell.

The phrase is read from the environment of an interactive start and from nowhere else; a file that holds it is refused.
Without a person at the terminal a live state directory is only watched.
"""

import asyncio
import getpass
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from interlock.config.load import Loaded
from interlock.config.schema import SIMULATORS, Config
from interlock.engine.live import ENVIRONMENT, EVIDENCE_AGE, Live
from interlock.errors import ConfigError
from interlock.model.account import Mode
from interlock.model.command import AccountConfirmed, LiveDeclined
from interlock.model.entry import Payload
from interlock.model.ids import AccountName
from interlock.model.market import Bar, MarketState, Proof, Quote, Trade
from interlock.model.money import SECOND, Nanos, plain
from interlock.model.record import AccountFrozen, ConfigRead, LiveStarted, ReadRequested, Started
from interlock.model.report import AccountRead
from interlock.model.signal import Held
from interlock.ports import Confirmations
from interlock.records import build_digest
from interlock.runtime.inbox import Inbox

VARIABLE: Final = "INTERLOCK_LIVE"
PHRASE: Final = "I_MEAN_IT"
ANSWER_S: Final = 5.0
"""How long a look at an account waits for its broker."""
UNIT_BYTES_MAX: Final = 1 << 20
_PROSE: Final = (".md", ".rst", ".toml", ".jsonl")


class Start(Struct, frozen=True):
    """Who started the process, and what they said."""

    who: str
    where: str                         # the terminal; "": nobody sits at one
    phrase: str | None = None          # the value of the variable; None: it is not set
    wants_watch: bool = False
    approved: str = ""                 # what came with --approve

    @property
    def is_interactive(self) -> bool:
        return bool(self.where)


NOBODY: Final = Start("", "")
"""A start that nobody has made: good for paper, and for watching."""


def start_of(environ: Mapping[str, str], *, terminal: str, parent: int, wants_watch: bool = False, approved: str = "") -> Start:
    """The start as the process finds itself. A service manager's child is nobody's session, whatever its terminal."""
    is_service = parent == 1 and ("INVOCATION_ID" in environ or "XPC_SERVICE_NAME" in environ)
    is_pod = "KUBERNETES_SERVICE_HOST" in environ
    return Start(getpass.getuser(), "" if is_service or is_pod else terminal, environ.get(VARIABLE), wants_watch, approved)


def this_start(*, wants_watch: bool = False, approved: str = "") -> Start:
    """How this very process was started. The phrase is taken out of the environment: no child of ours inherits it."""
    found = start_of(os.environ, terminal=_terminal(), parent=os.getppid(), wants_watch=wants_watch, approved=approved)
    os.environ.pop(VARIABLE, None)
    return found


def _terminal() -> str:
    """The name of the controlling terminal that a person types into; "" where there is none."""
    try:
        with open("/dev/tty", "rb"):
            return os.ttyname(0) if os.isatty(0) else ""
    except OSError:
        return ""


def opened(mode: str, start: Start, *, was_clean: bool, approved: str = "") -> LiveStarted | None:
    """How a live desk begins: None in paper. Raises ConfigError that says exactly what is missing."""
    if mode != Mode.LIVE.value:
        return None
    why = ""
    if not start.is_interactive:
        why = "no person sits at its terminal"
    elif start.wants_watch:
        why = "it was started with --watch"
    elif start.phrase is None:
        raise ConfigError(f"desk.mode is live, and {VARIABLE} is not set: live needs {VARIABLE}={PHRASE} in the environment of "
                          "the shell that starts it, or --watch to look on without trading")
    elif start.phrase != PHRASE:
        raise ConfigError(f"desk.mode is live, and {VARIABLE} is set to something else: live needs exactly {VARIABLE}={PHRASE}")
    if not why and not was_clean:
        return LiveStarted(False, "the last process did not stop in order; watched until each account is confirmed again",
                           start.who, start.where, approved)
    return LiveStarted(bool(why), why or "a person started it with both keys", start.who, start.where, approved)


def notes(mode: str, start: Start, build_before: str) -> list[str]:
    """What a person should know about this start."""
    found = []
    if mode != Mode.LIVE.value and start.phrase is not None:
        found.append(f"{VARIABLE} is set and changes nothing: this desk is on paper, as desk.mode and its journal say")
    if build_before and build_before != build_digest():
        found.append(f"the source has changed since the last start: build {build_before[:12]} then, {build_digest()[:12]} now; "
                     "each verdict names its own")
    return found


# -- the configuration


def problems(config: Config, *, plays_recording: bool = False) -> list[str]:
    """What stands between this configuration and live trading, apart from keys and persons; nothing in paper."""
    if config.desk.mode != Mode.LIVE.value:
        return []
    found = []
    real = [name for name, broker in config.brokers.items() if broker.kind not in SIMULATORS]
    if plays_recording:
        found.append("desk.mode is live and --data gives a recording: live money is traded on live prices alone; leave it out")
    elif real:
        found.append(f"desk.mode is live, brokers.{real[0]} reaches real accounts, and the only feed is the simulated market: "
                     "live money is traded on live prices alone")
    return found


def check_approval(before: ConfigRead | None, loaded: Loaded, approved: str) -> str:
    """The digest that was approved, "" where nothing changed. Raises ConfigError naming the new digest and each changed key."""
    if loaded.config.desk.mode != Mode.LIVE.value or before is None or before.digest == loaded.digest:
        return ""
    if len(approved) >= 16 and loaded.digest.startswith(approved.lower()):
        return loaded.digest
    found = "; ".join(differences(before.text, loaded.canonical))
    given = f"; --approve gave {approved}, which is another" if approved else ""
    raise ConfigError(f"the configuration of this live state directory has changed ({found}){given}. If that is meant, start "
                      f"with --approve {loaded.digest}")


def differences(before: str, after: str) -> list[str]:
    """Each key whose value differs between two canonical texts, with both values."""
    old, new = dict(_leaves(json.loads(before))), dict(_leaves(json.loads(after)))
    absent = "nothing"
    return [f"{key}: was {old.get(key, absent)}, is {new.get(key, absent)}" for key in sorted(old.keys() | new.keys())
            if old.get(key, absent) != new.get(key, absent)]


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{prefix}.{key}".lstrip("."))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{prefix}[{index}]")
    else:
        yield prefix, json.dumps(value)


def unit_places(directory: Path, units: Path | None = None) -> tuple[Path, ...]:
    """Where the files stand that start a desk: those named, `deploy/` here, and what lies in the state directory."""
    return tuple(place for place in (units, Path("deploy"), directory) if place is not None)


def persisted(places: Iterable[Path]) -> list[str]:
    """Where a file holds the variable, as one sentence each: units, compose files, manifests, scripts, .env files."""
    found = []
    for path in sorted({file.resolve() for place in places for file in _files(place)}):
        if path.suffix in _PROSE:
            continue
        text = _text_of(path)
        if text is None:
            found.append(f"{path} cannot be read, so it is not known whether it holds {VARIABLE}; look at it, or move it away")
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if VARIABLE in line:
                found.append(f"{path}:{number} holds {VARIABLE}: that key is given by a person at each start and stands in no "
                             "file; take the line out")
    return found


def _text_of(path: Path) -> str | None:
    """What a person may have written there: nothing in a binary or a very large file. None: it cannot be read."""
    try:
        body = b"" if path.stat().st_size > UNIT_BYTES_MAX else path.read_bytes()
    except OSError:
        return None
    return "" if b"\0" in body else body.decode(errors="replace")


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    elif place.is_dir():
        yield from (path for path in place.rglob("*") if path.is_file())


# -- while it runs


class Confirmed(Confirmations):
    """What SafeBroker reads at each write: the number under which a person has confirmed an account in this process.

    Set from the journal's own entry once that is durable, and from nothing else.
    """

    def __init__(self) -> None:
        self._numbers: dict[AccountName, str] = {}

    def number(self, account: AccountName) -> str | None:
        return self._numbers.get(account)

    def on_entry(self, payload: Payload) -> None:
        if isinstance(payload, Started):
            self._numbers.clear()
        elif isinstance(payload, AccountConfirmed):
            self._numbers[payload.account] = payload.number


class Shown:
    """What a person is shown of live accounts, and a bell that rings at each answer of a broker."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self._waiting: list[asyncio.Future[None]] = []

    def on_entry(self, payload: Payload, ts: Nanos) -> None:
        self.live.apply(payload, ts)
        if isinstance(payload, AccountRead):
            waiting, self._waiting = self._waiting, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    def wait(self) -> "asyncio.Future[None]":
        """Done at the next answer of a broker."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future


_FREQUENT: Final = frozenset((Bar, Held))
"""Nearly all of a long record, and nothing to anybody here."""


class LiveWatch:
    """Told of every durable entry: keeps what a person is shown, what SafeBroker reads, and ends the desk where it must."""

    def __init__(self, mode: str, numbers: Mapping[AccountName, str], *, on_declined: Callable[[LiveDeclined], None] | None = None
                 ) -> None:
        self.shown = Shown(Live(mode, numbers))
        self.confirmed = Confirmed()
        self.on_declined = on_declined

    def on_entry(self, _seq: int, ts: Nanos, payload: Payload) -> None:
        """Raises ConfigError when a broker answers for another account or environment than the configured one."""
        if type(payload) in _FREQUENT:
            return
        self.shown.on_entry(payload, ts)
        self.confirmed.on_entry(payload)
        if isinstance(payload, AccountFrozen) and payload.code == ENVIRONMENT:
            raise ConfigError(payload.why)
        if isinstance(payload, LiveDeclined) and self.on_declined is not None:
            self.on_declined(payload)

    def on_market(self, message: Quote | Trade | MarketState | Proof) -> None:
        """The market is none of its business."""


class LiveDoor:
    """Shows live accounts as their brokers tell them now. It holds no key and no broker."""

    def __init__(self, shown: Shown, inbox: Inbox, accounts: Iterable[AccountName], now: Callable[[], Nanos], *,
                 answer_s: float = ANSWER_S) -> None:
        self._shown, self._inbox, self._now = shown, inbox, now
        self._accounts = tuple(accounts)
        self._answer_s = answer_s

    async def look(self, account: AccountName | None = None) -> dict[str, Any]:
        """Every live account (or one): confirmed or not, and what its broker told within the last seconds."""
        live = self._shown.live
        for name in self._accounts if live.is_live else ():
            if account in (None, name) and live.is_held(name):
                await self._fresh(name)
        return {"mode": Mode.LIVE.value if live.is_live else Mode.PAPER.value, "watch": live.is_live and live.is_watch,
                "accounts": [self._row(name) for name in self._accounts if account in (None, name)] if live.is_live else []}

    async def _fresh(self, account: AccountName) -> None:
        """Have the account read, unless that was done a moment ago; what does not come in time is shown with its age."""
        live, asked = self._shown.live, self._now()
        evidence = live.evidence(account)
        if evidence is not None and asked - evidence.ts < EVIDENCE_AGE // 4:
            return
        self._inbox.put(ReadRequested(account, "a person looks at it"))
        try:
            async with asyncio.timeout(self._answer_s):
                while (evidence := live.evidence(account)) is None or evidence.ts < asked:
                    await self._shown.wait()
        except TimeoutError:
            return

    def _row(self, account: AccountName) -> dict[str, Any]:
        live = self._shown.live
        evidence, row = live.evidence(account), {"account": account, "confirmed": not live.is_held(account)}
        if evidence is None:
            return row | {"number": None, "net_liquidation": None, "cash": None, "currency": None, "endpoint": None,
                          "positions": [], "age_s": None, "digest": None}
        net = evidence.net_liquidation
        return row | {"number": evidence.number, "net_liquidation": None if net is None else plain(net),
                      "cash": plain(evidence.cash), "currency": evidence.currency, "endpoint": evidence.endpoint,
                      "positions": [{"instrument": symbol, "quantity": quantity} for symbol, quantity in evidence.positions],
                      "age_s": round((self._now() - evidence.ts) / SECOND, 1), "digest": evidence.digest(account)}
