"""How every command speaks: tables for people, one line per row in a pipe, and an exit status of the error's kind."""

import pytest
import typer

from interlock.cli.answer import errors_said, rows_or_json, table
from interlock.errors import ConfigError, InputError, JournalDamaged, StorageError


@pytest.mark.parametrize(("error", "status"), [
    (JournalDamaged("entry 7"), 1), (ConfigError("no"), 2), (InputError("no"), 2), (StorageError("disk"), 3)])
def test_an_error_is_one_line_on_stderr_and_the_status_of_its_kind(error, status, capsys):
    with pytest.raises(typer.Exit) as left, errors_said():
        raise error

    assert left.value.exit_code == status
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"interlock: {error}")
    assert said.err.count("\n") == 1


def test_in_a_pipe_every_row_is_one_line_however_long_its_cells(capsys):
    table("Orders", ("client_order_id", "reason"), [["a" * 40, "b" * 120], ["c", "d"]], empty="none")

    lines = capsys.readouterr().out.splitlines()
    assert any("a" * 40 in line and "b" * 120 in line for line in lines)
    assert any("client order id" in line for line in lines)


def test_nothing_to_show_is_said_and_null_is_empty(capsys):
    table("Orders", ("a",), [], empty="no orders")
    rows_or_json([{"a": None, "b": True}], as_json=False, title="", columns=("a", "b"), empty="none")
    rows_or_json([{"a": None, "b": True}], as_json=True, title="", columns=("a",), empty="none")

    said = capsys.readouterr().out
    assert said.startswith("no orders\n")
    assert "None" not in said
    assert said.endswith('[{"a": null, "b": true}]\n')
