"""A mount namespace of our own, where directories can be small or read-only without anybody noticing."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.process.desk import ROOT


class SmallDisk:
    """A file system of a few megabytes, seen by those processes alone that are run under `prefix`."""

    def __init__(self, holder: "subprocess.Popen[str]", path: Path) -> None:
        self._holder, self.path = holder, path
        self.prefix = ("nsenter", "-t", str(holder.pid), "-m", f"--wd={ROOT}")

    @property
    def outside(self) -> Path:
        """The same directory, as it is reached from out here."""
        return Path(f"/proc/{self._holder.pid}/root{self.path}")

    def run(self, script: str) -> None:
        subprocess.run([*self.prefix, "sh", "-c", script], capture_output=True, check=False)

    def fill(self) -> None:
        """Until not a byte is free."""
        self.run(f"dd if=/dev/zero of={self.path}/ballast bs=64k; dd if=/dev/zero of={self.path}/ballast2 bs=512")

    def empty(self) -> None:
        self.run(f"rm -f {self.path}/ballast {self.path}/ballast2")


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[SmallDisk]:
    """Skips where nothing may be mounted."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None or os.geteuid() != 0:
        pytest.skip("mounting needs the right to make a mount namespace")
    path.mkdir()
    holder = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-c",
                               f"mount -t tmpfs -o size={size} tmpfs {path} && echo ready && exec sleep 300"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            pytest.skip("no tmpfs may be mounted here")
        yield SmallDisk(holder, path)
    finally:
        holder.kill()
        holder.wait()
