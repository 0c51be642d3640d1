"""Makes a state directory: the shipped configuration, and a secret for every name in it. Overwrites nothing."""

import os
from pathlib import Path

from interlock.config import secrets
from interlock.config.load import FILE_NAME, default_text, load_default
from interlock.errors import ConfigError, StorageError

STATE_FILES = (FILE_NAME, secrets.FILE_NAME, "journal.db", "lease.json")


def make_state(directory: Path) -> list[str]:
    """Write interlock.toml and secrets.toml, 0600, into a new directory or one that holds no Interlock state.

    Raises ConfigError when state is there already, StorageError when it cannot be written.
    """
    found = [name for name in STATE_FILES if (directory / name).exists()]
    if found:
        raise ConfigError(f"{directory} holds Interlock state already ({', '.join(found)}); nothing was written")
    lanes = load_default().config.lanes.values()
    names = tuple(name for lane in lanes for name in (lane.hook_token, lane.hook_secret) if name)
    texts = {FILE_NAME: default_text(), secrets.FILE_NAME: secrets.new_file(names)}
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, text in texts.items():
            with os.fdopen(os.open(directory / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(text)
    except OSError as error:
        raise StorageError(f"{directory} cannot be written: {error}") from error
    return list(texts)
