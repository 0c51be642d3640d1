"""The socket over which commands reach a running engine: private, one line each way, and never a hang."""

import asyncio
import os
import socket
import stat

import pytest

from interlock.errors import InputError, StorageError
from interlock.runtime.control import SOCKET_NAME, ControlServer, ask


def served(directory, handlers, act):
    async def run():
        server = ControlServer(directory, handlers)
        await server.start()
        try:
            return await asyncio.to_thread(act)
        finally:
            await server.stop()

    return asyncio.run(run())


async def echo(request):
    return {"heard": request["word"]}


async def refuse(request):
    raise InputError("no such thing")


async def fail(request):
    raise StorageError("the disk is full")


def test_an_answer_comes_back_and_the_socket_is_private(tmp_path):
    def act():
        assert stat.S_IMODE((tmp_path / SOCKET_NAME).stat().st_mode) == 0o600
        return ask(tmp_path, "echo", word="hello")

    assert served(tmp_path, {"echo": echo}, act) == {"heard": "hello"}
    assert not (tmp_path / SOCKET_NAME).exists(), "it goes with the engine"


def test_the_engines_own_words_come_through_with_their_kind(tmp_path):
    def act():
        with pytest.raises(InputError, match="no such thing"):
            ask(tmp_path, "refuse")
        with pytest.raises(StorageError, match="the disk is full"):
            ask(tmp_path, "fail")
        with pytest.raises(InputError, match="nothing here answers 'other'"):
            ask(tmp_path, "other")

    served(tmp_path, {"refuse": refuse, "fail": fail}, act)


def test_nobody_there_is_none_and_a_socket_left_behind_is_nobody(tmp_path):
    assert ask(tmp_path, "echo", word="x") is None

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / SOCKET_NAME))
    assert ask(tmp_path, "echo", word="x") is None


def test_a_state_directory_with_a_long_name_is_reached_and_no_descriptor_is_left_open(tmp_path):
    deep = tmp_path / ("d" * 90) / ("e" * 90)
    deep.mkdir(parents=True)

    def act():
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            assert ask(deep, "echo", word="x") == {"heard": "x"}
        return len(os.listdir("/proc/self/fd")) - before

    assert served(deep, {"echo": echo}, act) <= 1


@pytest.mark.parametrize("line", [b"", b"nonsense\n", b"[]\n", b'{"ask": 7}\n', b'{"no": "ask"}\n'])
def test_a_line_that_asks_nothing_is_answered_or_left_but_never_kills_the_server(tmp_path, line):
    def act():
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(tmp_path / SOCKET_NAME))
            raw.sendall(line)
            raw.shutdown(socket.SHUT_WR)
            raw.settimeout(2)
            raw.recv(1000)
        return ask(tmp_path, "echo", word="still here")

    assert served(tmp_path, {"echo": echo}, act) == {"heard": "still here"}
