"""Secrets by name: the environment first, then secrets.toml with mode 0600. Their values are never printed or stored."""

import os
import secrets
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from interlock.errors import ConfigError

FILE_NAME: Final = "secrets.toml"
ENV_PREFIX: Final = "INTERLOCK_SECRET_"


class Secret:
    """A value that does not show itself: not in repr, not in str, not in a format string."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


def load(directory: Path, environ: Mapping[str, str] = os.environ) -> dict[str, Secret]:
    """Every secret by name. Raises ConfigError when the file can be read by others or is not a flat table of strings."""
    path = directory / FILE_NAME
    found: dict[str, Secret] = {}
    if path.exists():
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ConfigError(f"{path} can be read by others (mode {mode:04o}); run `chmod 600 {path}`")
        try:
            tree = tomllib.loads(path.read_text())
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {type(error).__name__}") from None
        for name, value in tree.items():
            if not isinstance(value, str) or not value:
                raise ConfigError(f"{path}: {name} must be a string that is not empty")
            found[name] = Secret(value)
    for variable, value in environ.items():
        if variable.startswith(ENV_PREFIX) and value:
            found[variable.removeprefix(ENV_PREFIX).lower()] = Secret(value)
    return found


def require(found: Mapping[str, Secret], name: str, where: str) -> Secret:
    """The secret called `name`. Raises ConfigError saying where it is asked for and where it may stand."""
    try:
        return found[name]
    except KeyError:
        raise ConfigError(f"{where} names the secret {name!r}, which is neither in {FILE_NAME} nor in the environment "
                          f"as {ENV_PREFIX}{name.upper()}") from None


def new_file(names: tuple[str, ...]) -> str:
    """The text of a new secrets file with a random value for each name."""
    lines = ["# Secrets by name. Mode 0600; never commit or send this file.", ""]
    lines += [f'{name} = "{secrets.token_urlsafe(24)}"' for name in names]
    return "\n".join(lines) + "\n"
