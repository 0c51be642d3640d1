"""A configuration that cannot be meant is refused by the name of its key, and every value remembers where it came from."""

import pytest

from interlock.config import secrets
from interlock.config.load import canonical, default_text, effective, from_canonical, load, load_default, load_text
from interlock.config.write import make_state
from interlock.errors import ConfigError


def test_the_shipped_configuration_is_valid_and_comes_back_from_its_canonical_text():
    loaded = load_default()

    assert from_canonical(loaded.canonical) == loaded.config or canonical(from_canonical(loaded.canonical)) == loaded.canonical
    assert '"web"' not in loaded.canonical, "where a process listens decides nothing"


@pytest.mark.parametrize(("old", "new", "said"), [
    ("risk_per_trade", "risk_per_trad", "gate.risk_per_trade"),
    ("[gate]", "[gates]", "nearest valid one is 'gate'"),
    ('risk_per_trade = "120"', 'risk_per_trade = "0"', "cannot be off"),
    ('risk_per_trade = "120"', 'risk_per_trade = "NaN"', "finite"),
    ('risk_per_trade = "120"', 'risk_per_trade = "much"', "gate.risk_per_trade"),
    ('mode = "paper"', 'mode = "pretend"', "desk.mode"),
    ('mode = "paper" ', "", "mode"),
    ('broker = "paper"', 'broker = "acme"', "no broker is called 'acme'"),
    ('accounts = ["paper-a", "paper-b"]', 'accounts = ["paper-a", "paper-x"]', "no account is called 'paper-x'"),
    ('accounts = ["paper-a", "paper-b"]', "accounts = []", "needs an account"),
    ('instruments = ["MNQ"]', 'instruments = ["NOPE"]', "[instruments.NOPE]"),
    ("latency_ms = 250", "latency_ms = -1", "latency_ms"),
    ("[desk]", "[desk", "is not TOML"),
])
def test_what_cannot_be_meant_is_refused_by_name(old, new, said):
    assert old in default_text()

    with pytest.raises(ConfigError) as refused:
        load_text(default_text().replace(old, new), "interlock.toml", {})

    assert said in str(refused.value)


def test_every_effective_value_names_its_origin():
    loaded = load_text(default_text(), "a file", {"INTERLOCK__GATE__RISK_PER_TRADE": "90", "PATH": "/bin"})

    origins = {key: (value, origin) for key, value, origin in effective(loaded)}

    assert origins["gate.risk_per_trade"] == ("90", "INTERLOCK__GATE__RISK_PER_TRADE")
    assert origins["desk.mode"] == ("paper", "file")
    assert origins["gate.positions_max"] == ("4", "default")
    assert loaded.digest != load_default().digest


def test_a_key_of_the_environment_that_there_is_not_is_refused_too():
    with pytest.raises(ConfigError, match=r"environment: unknown key 'gate\.risk'"):
        load_text(default_text(), "a file", {"INTERLOCK__GATE__RISK": "90"})


def test_the_digest_hears_of_what_decides_and_not_of_ports_and_comments():
    known = load_default().digest

    assert load_text(default_text().replace("8700", "9700") + "\n# a remark\n", "x", {}).digest == known
    assert load_text(default_text().replace('"120"', '"120.0"'), "x", {}).digest == known
    assert load_text(default_text().replace('"120"', '"121"'), "x", {}).digest != known


def test_secrets_that_others_can_read_are_refused_and_none_shows_itself(tmp_path):
    make_state(tmp_path / "s")
    path = tmp_path / "s" / "secrets.toml"
    found = secrets.load(tmp_path / "s", {})

    assert set(found) == {"main_hook_token", "main_hook_secret"}
    value = found["main_hook_secret"].reveal()
    assert value not in f"{found!r} {found['main_hook_secret']}"
    assert secrets.load(tmp_path / "s", {"INTERLOCK_SECRET_MAIN_HOOK_SECRET": "other"})["main_hook_secret"].reveal() == "other"
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        secrets.load(tmp_path / "s", {})
    path.chmod(0o600)
    path.write_text("main_hook_token = 7\n")
    with pytest.raises(ConfigError, match="main_hook_token must be a string"):
        secrets.load(tmp_path / "s", {})
    with pytest.raises(ConfigError, match="INTERLOCK_SECRET_NAME"):
        secrets.require({}, "name", "lanes.main.hook_token")


def test_two_new_states_share_no_secret(tmp_path):
    for name in ("a", "b"):
        make_state(tmp_path / name)

    values = [secret.reveal() for name in ("a", "b") for secret in secrets.load(tmp_path / name, {}).values()]
    assert len(set(values)) == 4
    assert all(len(value) >= 24 for value in values)
    with pytest.raises(ConfigError, match="nothing was written"):
        make_state(tmp_path / "a")
    with pytest.raises(ConfigError, match="interlock init"):
        load(tmp_path / "c", {})
