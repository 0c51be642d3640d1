"""Would it start here? Everything outside the configuration that a start depends on, asked before the start."""

import os
import shutil
import socket
from pathlib import Path

from interlock.config import build, secrets
from interlock.config.schema import Config
from interlock.errors import ConfigError
from interlock.model.money import MINUTE
from interlock.runtime import live
from interlock.runtime.clock import WALL

SPACE_MIN = 64 * 1024 * 1024
"""Bytes that must be free in the state directory: the emergency reserve and room for a day's journal."""


def problems(directory: Path, config: Config, units: Path | None = None) -> list[str]:
    """One sentence per problem, each saying what to do; empty when it would start. `units` holds service files to look at."""
    found: list[str] = []
    if not os.access(directory, os.W_OK | os.X_OK):
        found.append(f"{directory} cannot be written; the journal lives there, so give this user write access")
    else:
        free = shutil.disk_usage(directory).free
        if free < SPACE_MIN:
            found.append(f"{directory} has {free} bytes free; Interlock needs {SPACE_MIN}, free some space")
    try:
        known = secrets.load(directory)
        for name, lane in config.lanes.items():
            if lane.alerts:
                secrets.require(known, lane.hook_token, f"lanes.{name}.hook_token")
                secrets.require(known, lane.hook_secret, f"lanes.{name}.hook_secret")
    except ConfigError as error:
        found.append(str(error))
    try:
        build.setup(config, digest="", epoch=0, state_id="", clock=WALL, is_simulated=True,
                    fed=[(symbol, MINUTE) for symbol in config.feeds.simulated.instruments])
        build.intake_stage(config, {})
        for broker in config.brokers.values():
            build.faults(broker)
    except ConfigError as error:
        found.append(str(error))
    found.extend(live.problems(config))
    found.extend(live.persisted(live.unit_places(directory, units)))
    if config.web.host not in ("127.0.0.1", "::1", "localhost"):
        found.append(f"web.host is {config.web.host!r}: the page binds to loopback alone; a proxy goes before the hook port")
    for key, port in (("web.port", config.web.port), ("web.hook_port", config.web.hook_port)):
        if is_taken(config.web.host, port):
            found.append(f"{key}: port {port} is in use; choose another, or stop what listens there (perhaps this desk)")
    return found


def is_taken(host: str, port: int) -> bool:
    """Whether something listens on that port already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False
