"""From a file and the environment to the frozen Config, remembering where every value came from."""

import difflib
import hashlib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import msgspec

from interlock.config.schema import HOST_SECTIONS, LIVE_LIMITS, Config, Section
from interlock.errors import ConfigError
from interlock.model.money import plain

FILE_NAME: Final = "interlock.toml"
ENV_PREFIX: Final = "INTERLOCK__"
"""INTERLOCK__GATE__RISK_PER_TRADE=100 sets [gate] risk_per_trade; names are upper case, tables joined by two underscores."""


class Loaded(msgspec.Struct, frozen=True):
    """The configuration with its origins: dotted key -> "default", "file" or the environment variable's name."""

    config: Config
    origins: dict[str, str]
    text: str                          # as it was read

    @property
    def canonical(self) -> str:
        return canonical(self.config)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.canonical.encode()).hexdigest()


def default_text() -> str:
    """The shipped interlock.toml, with its comments."""
    return resources.files("interlock.config").joinpath("default.toml").read_text()


def load_default() -> Loaded:
    """The shipped configuration, without a file and without the environment."""
    return load_text(default_text(), "the shipped configuration", {})


def load(directory: Path, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Read DIRECTORY/interlock.toml. Raises ConfigError with file, key, what was expected and what was found."""
    path = directory / FILE_NAME
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing; `interlock init --state {directory}` writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return load_text(text, str(path), environ)


def load_text(text: str, name: str, environ: Mapping[str, str]) -> Loaded:
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name} is not TOML: {error}") from error
    _refuse_unknown(tree, Config, name, ())
    from_file = dict.fromkeys(_leaves(tree), "file")
    from_environment = {}
    for variable in sorted(environ):
        if variable.startswith(ENV_PREFIX):
            path = tuple(part.lower() for part in variable.removeprefix(ENV_PREFIX).split("__"))
            _set(tree, path, environ[variable], variable)
            from_environment[".".join(path)] = variable
    _refuse_unknown(tree, Config, "the environment", ())
    _set_live_limits(tree)
    try:
        config = msgspec.convert(tree, Config, strict=False)
    except msgspec.ValidationError as error:
        cause = error.__cause__
        raise ConfigError(f"{name}: {cause if isinstance(cause, ConfigError) else error}") from error
    origins = dict.fromkeys(_leaves(_plain_tree(config)), "default") | from_file | from_environment
    return Loaded(config, origins, text)


def _set_live_limits(tree: dict[str, Any]) -> None:
    """The defaults of a live account's own limits are the narrow ones."""
    desk, accounts = tree.get("desk"), tree.get("accounts")
    if isinstance(desk, dict) and desk.get("mode") == "live" and isinstance(accounts, dict):
        for account in accounts.values():
            safe = account.setdefault("safe", {}) if isinstance(account, dict) else None
            if isinstance(safe, dict):
                for name, value in LIVE_LIMITS.items():
                    safe.setdefault(name, value)


def canonical(config: Config) -> str:
    """Canonical JSON of everything that decides: sorted keys, decimals normalised, host sections left out."""
    tree = _plain_tree(config)
    for section in HOST_SECTIONS:
        tree.pop(section, None)
    return json.dumps(tree, sort_keys=True, separators=(",", ":"))


def from_canonical(text: str) -> Config:
    """The configuration as a journal holds it. Raises ConfigError when this build cannot read it."""
    try:
        return msgspec.convert(json.loads(text), Config, strict=False)
    except (ValueError, msgspec.ValidationError) as error:
        raise ConfigError(f"the recorded configuration cannot be read by this build: {error}") from error


def effective(loaded: Loaded) -> Iterator[tuple[str, str, str]]:
    """(dotted key, value, origin) of every effective value, in the order of the schema."""
    tree = _plain_tree(loaded.config)
    for key in _leaves(tree):
        yield key, _text(_get(tree, key.split("."))), loaded.origins.get(key, "file")


def _plain_tree(config: Config) -> dict[str, Any]:
    tree = msgspec.to_builtins(config, builtin_types=(Decimal,))
    return _decimals(tree)  # type: ignore[no-any-return]


def _decimals(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return {key: _decimals(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_decimals(inner) for inner in value]
    return value


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _get(tree: Any, path: list[str]) -> Any:
    for part in path:
        tree = tree[part]
    return tree


def _set(tree: dict[str, Any], path: tuple[str, ...], value: str, variable: str) -> None:
    here: Any = tree
    for part in path[:-1]:
        here = here.setdefault(part, {})
        if not isinstance(here, dict):
            raise ConfigError(f"{variable}: {part!r} is a value, not a table")
    here[path[-1]] = value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _refuse_unknown(tree: Mapping[str, Any], kind: type, name: str, path: tuple[str, ...]) -> None:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in tree.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1, cutoff=0.0)
            where = ".".join((*path, key))
            raise ConfigError(f"{name}: unknown key {where!r}; the nearest valid one is {'.'.join((*path, *near))!r}")
        _refuse_unknown_in(value, fields[key], name, (*path, key))


def _refuse_unknown_in(value: Any, kind: Any, name: str, path: tuple[str, ...]) -> None:
    if isinstance(kind, type) and issubclass(kind, Section):
        if isinstance(value, Mapping):
            _refuse_unknown(value, kind, name, path)
        return
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is dict and isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_unknown_in(inner, arguments[1], name, (*path, key))
    elif origin is tuple and isinstance(value, list):
        for index, inner in enumerate(value):
            _refuse_unknown_in(inner, arguments[0], name, (*path, str(index)))
    elif arguments and isinstance(value, Mapping):
        for argument in arguments:
            _refuse_unknown_in(value, argument, name, path)
