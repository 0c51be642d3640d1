"""Builds the dashboard into the package when Node is there; without it the package still installs, and `/` says what to run."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DashboardHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        page = root / "src" / "interlock" / "web" / "static" / "index.html"
        sources = root / "dashboard" / "package-lock.json"
        if version == "editable" or page.exists() or not sources.exists():
            return
        npm = shutil.which("npm")
        if npm is None:
            print("interlock: no npm found; installing without the dashboard page", file=sys.stderr)
            return
        for command in ([npm, "ci", "--no-audit", "--no-fund"], [npm, "run", "build"]):
            if subprocess.run(command, cwd=root / "dashboard", check=False).returncode:
                print(f"interlock: `{' '.join(command)}` failed; installing without the dashboard page", file=sys.stderr)
                return
