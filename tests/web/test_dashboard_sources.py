"""What the build of the page promises to whoever runs it."""

import json
import re
from pathlib import Path

import pytest

from interlock.web import auth
from interlock.web.app import STATIC

DASHBOARD = Path(__file__).parents[2] / "dashboard"


def lock() -> dict[str, dict[str, object]]:
    packages: dict[str, dict[str, object]] = json.loads((DASHBOARD / "package-lock.json").read_text())["packages"]
    return packages


def test_the_lock_file_names_content_and_no_address():
    assert not [name for name, package in lock().items() if "resolved" in package]
    assert not [name for name, package in lock().items() if name and not package.get("integrity")]
    assert "omit-lockfile-registry-resolved=true" in (DASHBOARD / ".npmrc").read_text()


def test_the_lock_file_stands_for_what_the_package_asks():
    asked = json.loads((DASHBOARD / "package.json").read_text())

    assert lock()[""]["dependencies"] == asked["dependencies"]
    assert lock()[""]["devDependencies"] == asked["devDependencies"]


def test_types_are_checked_strictly():
    assert json.loads((DASHBOARD / "tsconfig.json").read_text())["compilerOptions"]["strict"] is True


def test_no_source_fetches_anything_from_elsewhere():
    foreign = {address for path in [DASHBOARD / "index.html", *(DASHBOARD / "src").rglob("*.*")]
               for address in re.findall(r"(?:src|url|fetch|import)\W{1,3}(?:https?:)?//[\w.-]+", path.read_text())}

    assert foreign == set()


def test_the_built_chart_adds_exactly_the_style_that_the_policy_allows():
    scripts = list((STATIC / "assets").glob("*.js"))
    if not scripts:
        pytest.skip("the dashboard is not built; run `make dashboard`")

    assert any(auth._CHART_LOGO_STYLE in script.read_text() for script in scripts)


def test_the_build_carries_the_licences_of_what_it_holds():
    if not (STATIC / "index.html").exists():
        pytest.skip("the dashboard is not built; run `make dashboard`")

    licences = (STATIC / "licenses.md").read_text()
    assert "lightweight-charts" in licences
    assert "svelte" in licences
