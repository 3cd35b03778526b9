"""The command line before any memory is opened: overview, errors, settings, output."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from cem_rag_app.errors import ColumnError, SettingsError
from ui import cli
from ui.commands.common import emit, settings_for
from ui.strings import human_bytes


def every_command(command=cli.main, path=()):
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from every_command(command.get_command(click.Context(command), name), (*path, name))


COMMANDS = dict(every_command())


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_line_in_the_overview_is_the_commands_own(name):
    command = COMMANDS[(name,)]
    assert command.name == name
    assert (command.help or "").split("\n")[0] == cli.COMMANDS[name][1]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_says_what_it_is(path):
    command = COMMANDS[path]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path} {parameter.name}"


@pytest.mark.parametrize(
    "path", [path for path in COMMANDS if path and not isinstance(COMMANDS[path], click.Group)], ids=" ".join
)
def test_every_command_on_a_memory_takes_memory_and_reports_take_json(path):
    options = {option for parameter in COMMANDS[path].params for option in parameter.opts}
    assert "--memory" in options or path[0] in {"train", "eval", "bench"}
    assert "--json" in options or path[0] in {"chat", "serve", "demo", "train"}


def test_the_overview_and_every_subcommands_help_import_no_heavy_package():
    heavy = {"torch", "transformers", "streamlit", "faiss", "numba", "fastapi", "sqlalchemy", "langchain_core"}
    program = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from ui.cli import main, COMMANDS\n"
        "for name in [None, *COMMANDS]:\n"
        "    answer = CliRunner().invoke(main, [*([name] if name else []), '--help'])\n"
        "    assert answer.exit_code == 0, answer.output\n"
        f"    print(name, *sorted({heavy} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == [str(name) for name in [None, *cli.COMMANDS]]


def test_the_overview_alone_imports_neither_settings_nor_any_subcommand():
    program = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from ui.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "print(*sorted(m for m in sys.modules if m.split('.')[0] in {'pydantic', 'numpy'} or m.startswith('ui.')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["ui.cli"]


def failing(error):
    group = cli.LazyGroup("cem-rag")

    def fail():
        raise error

    group.get_command = lambda ctx, name: click.Command(name, callback=fail)
    return group


def test_an_error_of_ours_is_one_plain_line_on_stderr_and_exit_code_1():
    error = ColumnError("no column 'who'.", file="chat.csv", line=3, remedy="Name one with --speaker-column.")
    answer = CliRunner().invoke(failing(error), ["x"])
    assert answer.exit_code == 1
    assert answer.stdout == ""
    assert answer.stderr == "cem-rag: chat.csv:3: no column 'who'. Name one with --speaker-column.\n"


def test_an_error_that_is_not_ours_is_a_defect_and_keeps_its_traceback():
    assert isinstance(CliRunner().invoke(failing(ValueError("bug")), ["x"]).exception, ValueError)


def test_a_path_that_cannot_be_used_is_named_in_one_line():
    answer = CliRunner().invoke(failing(PermissionError(13, "Permission denied", "/locked/memory")), ["x"])
    assert answer.exit_code == 1
    assert answer.stderr == "cem-rag: /locked/memory: Permission denied. Check the path and its permissions.\n"


def test_control_c_ends_with_130_and_no_traceback():
    answer = CliRunner().invoke(failing(KeyboardInterrupt()), ["x"])
    assert answer.exit_code == 130
    assert answer.output.strip() == ""


def test_an_unknown_command_is_refused_with_the_usage():
    answer = CliRunner().invoke(cli.main, ["forgive"])
    assert answer.exit_code == 2
    assert "No such command 'forgive'" in answer.stderr


def test_what_the_command_line_says_stands_above_the_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CEM_RAG_SERVER__PORT", "9000")
    monkeypatch.setenv("CEM_RAG_CHAT__CANDIDATES", "7")
    settings = settings_for(tmp_path / "m", server={"host": None, "port": 9001}, chat={"model": "gemini"})
    assert (settings.server.port, settings.server.host) == (9001, "127.0.0.1")
    assert (settings.chat.model, settings.chat.candidates) == ("gemini", 7)
    assert settings.memory == tmp_path / "m"


def test_a_setting_that_is_not_allowed_is_named_with_its_variable(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CEM_RAG_PACK__LEVEL", "99")
    with pytest.raises(SettingsError, match=r"pack\.level cannot be '99'.*CEM_RAG_PACK__LEVEL"):
        settings_for()


def test_json_output_is_one_object_with_chinese_as_it_is(capsys):
    emit({"text": "火锅"}, as_json=True, lines=lambda: iter(()))
    out = capsys.readouterr().out
    assert json.loads(out) == {"text": "火锅"}
    assert "火锅" in out


@pytest.mark.parametrize(("count", "written"), [(0, "0 B"), (1023, "1023 B"), (4608, "4.5 KiB"), (3 << 30, "3.0 GiB")])
def test_sizes_are_written_for_people(count, written):
    assert human_bytes(count) == written
