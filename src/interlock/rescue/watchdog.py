"""Pages when the engine falls silent: its heartbeat or its lease is older than it may be. It starts, stops and mends nothing.

Both are small files in the state directory, and both ages are on the clock that counts suspend. The lease shows that the
process is awake; the heartbeat, that its decision loop comes round. A watchdog in another process is the only one that can
tell of a loop that does not.
"""

import os
import shlex
import subprocess
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from interlock.errors import StorageError
from interlock.model.money import SECOND, Nanos
from interlock.rescue.fence import HOLDER
from interlock.storage.lease import TTL, boot_clock, read_record

HEARTBEAT: Final = "heartbeat.json"
START_GRACE: Final[Nanos] = 60 * SECOND
"""How long a process that has the lease may take until its first beat."""
REPEAT: Final[Nanos] = 60 * SECOND
LEVEL_MAX: Final = 3
NOTIFY_S: Final = 30.0


class Beat(Struct, frozen=True):
    """What heartbeat.json holds: who beat last, under which epoch, when on the boot clock, and how often it means to."""

    epoch: int
    pid: int
    seq: int
    renewed: Nanos
    interval: Nanos


class Health(Enum):
    HEALTHY = "healthy"
    STOPPED = "stopped"                # given back in order, or never begun
    SILENT = "silent"


class Finding(Struct, frozen=True):
    health: Health
    text: str
    age: Nanos | None = None           # of what is too old


class Event(Struct, frozen=True):
    """Something to tell: `kind` is silent (again, at a higher level), back or stopped."""

    kind: str
    level: int
    text: str


_beat: Final = msgspec.json.Decoder(Beat)


def look(directory: Path, now: Nanos, *, ttl: Nanos = TTL) -> Finding:
    """What lease and heartbeat say at `now` on the boot clock. What cannot be read counts as silence."""
    try:
        lease = read_record(directory)
    except StorageError as error:
        return Finding(Health.SILENT, str(error))
    if lease is None:
        return Finding(Health.STOPPED, f"no engine has run in {directory}")
    if lease.renewed == 0:
        return Finding(Health.STOPPED, f"{lease.holder} (pid {lease.pid}) gave the lease back")
    who = f"{lease.holder} (pid {lease.pid}, epoch {lease.epoch})"
    if lease.renewed > now:
        return Finding(Health.SILENT, f"{who} has not renewed its lease since this machine started")
    age = now - lease.renewed
    if age > min(ttl, lease.ttl):
        seconds = f"{age / SECOND:.0f} s"
        if lease.holder == HOLDER:
            return Finding(Health.SILENT, f"{HOLDER} took the lease {seconds} ago, and no engine has been started since", age)
        return Finding(Health.SILENT, f"{who} renewed its lease {seconds} ago; it hangs, or is gone", age)
    return _look_at_beat(directory, now, ttl, lease.epoch, who)


def _look_at_beat(directory: Path, now: Nanos, ttl: Nanos, epoch: int, who: str) -> Finding:
    path = directory / HEARTBEAT
    try:
        beat = _beat.decode(path.read_bytes())
    except FileNotFoundError:
        return Finding(Health.HEALTHY, f"{who} has not beaten yet", 0)
    except (OSError, msgspec.DecodeError) as error:
        return Finding(Health.SILENT, f"{path} cannot be read: {error}")
    if beat.epoch != epoch:            # of an earlier process
        return Finding(Health.HEALTHY, f"{who} has not beaten yet", 0)
    age = now - beat.renewed
    if not 0 <= age <= ttl:
        return Finding(Health.SILENT, f"the decision loop of {who} came round last {age / SECOND:.0f} s ago", age)
    return Finding(Health.HEALTHY, f"{who} is well")


class Watchdog:
    """Remembers what it has said. `step` is to be called every few seconds; what it returns is to be told."""

    def __init__(self, directory: Path, *, ttl: Nanos = TTL, now: Callable[[], Nanos] = boot_clock) -> None:
        self._directory, self._ttl, self._now = directory, ttl, now
        self._level = 0                # 0: all is well, or was stopped
        self._told: Nanos = 0
        self._first_unbeaten: Nanos | None = None
        self.finding = Finding(Health.STOPPED, "not looked yet")

    @property
    def is_paging(self) -> bool:
        return self._level > 0

    def step(self) -> list[Event]:
        now = self._now()
        before, finding = self.finding, self._late(look(self._directory, now, ttl=self._ttl), now)
        self.finding = finding
        if finding.health is Health.SILENT:
            if self._level and now - self._told < REPEAT:
                return []
            self._level, self._told = min(LEVEL_MAX, self._level + 1), now
            return [Event("silent", self._level, finding.text)]
        was_paging, self._level = self.is_paging, 0
        if was_paging:
            return [Event("back" if finding.health is Health.HEALTHY else "stopped", 0, finding.text)]
        if finding.health is Health.STOPPED and before.health is Health.HEALTHY:
            return [Event("stopped", 0, finding.text)]
        return []

    def _late(self, finding: Finding, now: Nanos) -> Finding:
        """A process that holds the lease and has not begun to beat is given a while, once."""
        if finding.health is not Health.HEALTHY or finding.age is None:
            self._first_unbeaten = None
            return finding
        if self._first_unbeaten is None:
            self._first_unbeaten = now
        waited = now - self._first_unbeaten
        return finding if waited <= START_GRACE else Finding(Health.SILENT, finding.text, waited)


def notify(command: str, directory: Path, event: Event, environ: Mapping[str, str] = os.environ) -> str:
    """Run the user's command for an event; what went wrong in words, "" if nothing. It may hang: then it is ended."""
    told: dict[str, Any] = {"INTERLOCK_STATE": str(directory), "INTERLOCK_EVENT": event.kind, "INTERLOCK_LEVEL": str(event.level),
                            "INTERLOCK_TEXT": event.text}
    try:
        ended = subprocess.run([*shlex.split(command), event.text], env={**environ, **told}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=NOTIFY_S, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return f"the notice was not given: {error}"
    if ended.returncode:
        said = ended.stderr.decode(errors="replace")[-200:]
        return f"the notice was not given: {command} ended with {ended.returncode}: {said}"
    return ""
