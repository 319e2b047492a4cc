"""The command check with real programs: how they end, what they write, and that nothing of them is left."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lifesigns import Engine
from lifesigns.redaction import hide
from tests.services import wait_until

SECRET = "command-secret-17"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="commands are checked on Unix only")


def probe(*argv: str, timeout: float = 5.0, **fields: Any) -> dict[str, Any]:
    engine = Engine(default_timeout=timeout)
    engine.register("command", {"kind": "command", "argv": list(argv), "show_output": True, **fields})
    result = dict(engine.check("command", refresh=True))
    assert SECRET not in json.dumps(result)
    return result


def shell(script: str, **options: Any) -> dict[str, Any]:
    return probe("sh", "-c", script, **options)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def children() -> set[int]:
    """Those of this process, zombies included."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


@pytest.mark.parametrize(
    ("script", "fields", "status", "message"),
    [
        ("exit 0", {}, "healthy", "sh ended with 0"),
        ("exit 3", {}, "error", "sh ended with 3 instead of 0"),
        ("exit 3", {"expect_exit": 3}, "healthy", "sh ended with 3"),
        ("kill -9 $$", {}, "error", "sh was ended by signal 9"),
        ("echo all ok", {"text": "ok"}, "healthy", "sh ended with 0"),
        ("echo fine", {"text": "ok"}, "error", "sh ended with 0, but without the expected text"),
        ("echo ok >&2", {"text": "ok"}, "healthy", "sh ended with 0"),
        ("exit 0", {"nagios": True}, "healthy", "sh reports OK"),
        ("exit 1", {"nagios": True}, "degraded", "sh reports WARNING"),
        ("exit 2", {"nagios": True}, "error", "sh reports CRITICAL"),
        ("exit 3", {"nagios": True}, "error", "sh reports UNKNOWN"),
        ("exit 9", {"nagios": True}, "error", "sh ended with 9, which is no exit code of a plugin"),
    ],
)
def test_end_of_a_command(script: str, fields: dict[str, Any], status: str, message: str) -> None:
    result = shell(script, **fields)
    assert (result["status"], result["message"]) == (status, message)


def test_arguments_are_no_shell() -> None:
    result = probe("echo", "$HOME; exit 1", "*")
    assert result["details"] == {"output": "$HOME; exit 1 *", "exit_code": 0}


def test_directory_and_environment(tmp_path: Path) -> None:
    result = shell('pwd; echo "$GREETING"', cwd=str(tmp_path), environment={"GREETING": "hi"})
    assert result["details"]["output"] == f"{tmp_path}\nhi"
    assert shell("echo $PATH")["details"]["output"] == os.environ["PATH"]


@pytest.mark.usefixtures("nothing_hidden")
def test_output_without_secrets() -> None:
    script = f'echo "$KEY"; echo "postgres://u:{SECRET}@h/"; echo "password = {SECRET}"; echo fine'
    result = shell(script, environment={"KEY": SECRET})
    assert result["details"]["output"] == "***\npostgres://***@h/\npassword =***\nfine"
    assert "***" in probe("echo", f"--token={SECRET}")["details"]["output"]


def test_output_by_default_is_not_shown() -> None:
    engine = Engine()
    engine.register("command", {"kind": "command", "argv": ["echo", SECRET]})
    assert engine.check("command")["details"] == {"exit_code": 0}


def test_output_without_the_secrets_of_the_settings() -> None:
    odd = 's3cr3t-o"d\\d&é/<h8k2'
    hide([odd], source="test_command")
    try:
        forms = [odd, json.dumps(odd), quote(odd, safe=""), b64encode(f"someone:{odd}".encode()).decode()]
        output = probe("printf", "%s\n", *forms)["details"]["output"]
        assert output == '***\n"***"\n***\n***'
    finally:
        hide([], source="test_command")
    assert odd in probe("echo", odd)["details"]["output"]


def test_output_with_control_characters_replaced() -> None:
    assert shell(r"printf 'a\033[31mb\tc\r\nd\001'")["details"]["output"] == "a\ufffd[31mb\tc\nd\ufffd"


def test_output_with_controls_of_its_direction_replaced() -> None:
    assert probe("echo", "a\u202eb\u2066c\u200fd\u00fc")["details"]["output"] == "a\ufffdb\ufffdc\ufffdd\u00fc"


def test_text_at_the_end_of_a_long_output() -> None:
    result = shell("head -c 500000 /dev/zero | tr '\\0' x; echo; echo all fine", text="all fine")
    assert result["status"] == "healthy", result


def test_same_command_with_other_timeouts(tmp_path: Path) -> None:
    """The deadline of one does not end the other's."""
    engine = Engine()
    spec = {"kind": "command", "argv": ["sh", "-c", f"echo $$ >> {tmp_path}/pids; sleep 1.5"]}
    engine.register("short", spec, timeout=0.5)
    engine.register("long", spec, timeout=10.0)
    checks = engine.run(refresh=True)["checks"]
    assert checks["short"]["error_type"] == "TimeoutError"
    assert checks["long"]["status"] == "healthy", checks
    assert len((tmp_path / "pids").read_text().split()) == 2, "it was started once more"


def test_output_that_is_no_text() -> None:
    result = shell(r"printf 'a\377\000b'")
    assert result["status"] == "healthy", result
    assert result["details"]["output"].startswith("a\ufffd")


@pytest.mark.parametrize(
    ("argv", "fields", "said"),
    [
        (["/nowhere/program"], {}, "/nowhere/program cannot be started: No such file or directory"),
        (["no-such-program-here"], {}, "no-such-program-here cannot be started: No such file or directory"),
        (["true"], {"cwd": "/nowhere"}, "cwd /nowhere cannot be used: No such file or directory"),
        (["true"], {"cwd": "/etc/passwd"}, "cwd /etc/passwd cannot be used: it is no directory"),
        (["no-such-program-here"], {"cwd": "/"}, "no-such-program-here cannot be started: No such file or directory"),
    ],
)
def test_program_that_cannot_be_started(argv: list[str], fields: dict[str, Any], said: str) -> None:
    result = probe(*argv, **fields)
    assert result["error_type"] == "ConfigurationError", result
    assert result["message"].startswith(said)


def test_program_that_is_not_executable(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    assert probe(str(program))["error_type"] == "ConfigurationError"
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert probe(str(program))["status"] == "healthy"


def test_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f'sleep 600 & echo $! >> {pids}; sh -c "sleep 600" & echo $! >> {pids}; echo $$ >> {pids}; wait'
    result = shell(script, timeout=0.5)
    assert result["error_type"] == "TimeoutError", result
    assert result["duration_ms"] < 10_000
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 3
    wait_until(lambda: not any(alive(pid) for pid in started), 5, "processes are left")
    wait_until(lambda: not children() & set(started), 5, "a zombie is left")


def test_timeout_sigterm_first_then_sigkill(tmp_path: Path) -> None:
    """One that heeds SIGTERM can clean up; one that ignores it is killed."""
    cleaned = tmp_path / "cleaned"
    assert shell(f"trap 'touch {cleaned}; exit' TERM; sleep 600 & wait", timeout=0.5)["error_type"] == "TimeoutError"
    wait_until(cleaned.exists, 5, "it was not given the time to clean up")

    pid = tmp_path / "pid"
    assert shell(f"trap '' TERM; echo $$ > {pid}; while :; do sleep 600; done", timeout=0.5)["status"] == "error"
    wait_until(lambda: not alive(int(pid.read_text())), 5, "it is left")


def test_next_run_after_a_timeout_is_a_new_process(tmp_path: Path) -> None:
    """It waits for the end of the first, which ignores SIGTERM for as long as it can."""
    once = tmp_path / "once"
    script = f"if [ ! -e {once} ]; then touch {once}; trap '' TERM; sleep 600; sleep 600; fi; echo second"
    assert shell(script, timeout=0.5)["error_type"] == "TimeoutError"
    result = shell(script)
    assert result["status"] == "healthy", result
    assert result["details"]["output"] == "second"


def test_what_a_command_leaves_behind_is_ended(tmp_path: Path) -> None:
    """A process in the background that holds the output open delays nothing, and is gone."""
    pid = tmp_path / "pid"
    result = shell(f"sleep 600 & echo $! > {pid}; echo done")
    assert result["status"] == "healthy", result
    assert result["details"]["output"] == "done"
    assert result["duration_ms"] < 10_000
    wait_until(lambda: not alive(int(pid.read_text())), 5, "it is left")


def test_flood_is_ended() -> None:
    before = children()
    result = probe("yes")
    assert result["error_type"] == "ResponseTooLargeError", result
    assert result["message"] == "yes answered more than 1048576 bytes"
    wait_until(lambda: children() <= before, 5, "it is left")


def test_long_output_is_cut() -> None:
    result = shell("yes some words | head -n 40000")
    assert result["status"] == "healthy", result
    assert result["details"]["output"] == ("some words\n" * 200)[:2000]


def test_closed_output_and_input() -> None:
    result = shell("exec >&- 2>&-; sleep 0.2; exit 0")
    assert result["status"] == "healthy", result
    assert shell("cat; echo end")["details"]["output"] == "end"


def test_descriptors_are_not_inherited(tmp_path: Path) -> None:
    """Neither those of the engine nor those that the application has made inheritable, as gunicorn its listeners."""
    with socket.create_server(("127.0.0.1", 0)) as listener, (tmp_path / "file").open("w") as file:
        os.set_inheritable(listener.fileno(), True)
        os.set_inheritable(file.fileno(), True)
        result = shell("ls -l /proc/self/fd")
    assert result["status"] == "healthy", result
    output = result["details"]["output"]
    assert "socket:" not in output
    assert "/file" not in output
    assert os.get_inheritable(1)


def test_many_at_once_leave_no_process_and_no_descriptor() -> None:
    engine = Engine(default_timeout=10.0)
    for number in range(20):
        engine.register(f"c{number}", {"kind": "command", "argv": ["sh", "-c", f"echo {number}"], "show_output": True})
    engine.run(refresh=True)
    before, descriptors = children(), len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        report = engine.run(refresh=True)
        assert report["status"] == "healthy", report
        for number in range(20):
            assert report["checks"][f"c{number}"]["details"]["output"] == str(number)
    assert children() <= before
    assert len(os.listdir("/proc/self/fd")) <= descriptors


PROGRAM = textwrap.dedent("""
    import sys
    from lifesigns import Engine

    engine = Engine(default_timeout=30.0)
    engine.register("command", {"kind": "command", "argv": ["sh", "-c", f"echo $$ > {sys.argv[1]}; exec sleep 600"]})
    try:
        print("started", flush=True)
        engine.run()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
""")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_command_ends_with_the_process(tmp_path: Path, ending: signal.Signals) -> None:
    """Ctrl-C goes to the process alone, and ends the wait; the command does not outlive it, not even its SIGKILL."""
    pid = tmp_path / "pid"
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(pid)], stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: pid.exists() and pid.read_text().strip() != "", 20, "the command was not started")
        command = int(pid.read_text())
        process.send_signal(ending)
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    if ending == signal.SIGINT:
        assert output == "started\ninterrupted\n"
    wait_until(lambda: not alive(command), 10, "the command is left")


EXITING = textwrap.dedent("""
    import os, sys, threading, time
    from lifesigns import Engine

    engine = Engine(default_timeout=30.0)
    script = f"sleep 600 & echo $! >> {sys.argv[1]}; sleep 600 & echo $! >> {sys.argv[1]}; wait"
    engine.register("command", {"kind": "command", "argv": ["sh", "-c", script]})
    threading.Thread(target=engine.run, daemon=True).start()
    deadline = time.monotonic() + 20
    while not os.path.exists(sys.argv[1]) or len(open(sys.argv[1]).readlines()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    sys.exit(3)
""")


def test_exit_ends_all_that_a_command_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    run = subprocess.run([sys.executable, "-c", EXITING, str(pids)], capture_output=True, text=True, timeout=60)
    assert run.returncode == 3, run.stderr
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 2
    wait_until(lambda: not any(alive(pid) for pid in started), 5, "processes are left")


FORKING = textwrap.dedent("""
    import os, threading, time
    from lifesigns import Engine

    engine = Engine(default_timeout=10.0)
    engine.register("command", {"kind": "command", "argv": ["sh", "-c", "sleep 0.3; echo fine"], "show_output": True})
    running = threading.Thread(target=engine.run, daemon=True)
    running.start()
    time.sleep(0.1)
    child = os.fork()
    result = engine.check("command", refresh=True)
    assert result["status"] == "healthy", result
    assert result["details"]["output"] == "fine", result
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    running.join()
    print("both")
""")


def test_fork_while_a_command_runs() -> None:
    run = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60)
    assert run.stdout == "both\n", run.stderr


@pytest.mark.parametrize(
    ("ignored", "message"),
    [(True, "the exit code of true is lost: this process ignores SIGCHLD"), (False, "true ended with 0")],
)
def test_exit_code_that_another_takes(ignored: bool, message: str) -> None:
    program = (
        "import signal, sys; from lifesigns import Engine; engine = Engine();"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN if sys.argv[1] == 'True' else signal.SIG_DFL);"
        "engine.register('c', {'kind': 'command', 'argv': ['true']}); print(engine.check('c')['message'])"
    )
    command = [sys.executable, "-c", program, str(ignored)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.startswith(message), run.stdout


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"argv": []}, "argv must start with the name of a program"),
        ({"argv": "ls -l"}, "argv must be a list, not str"),
        ({"argv": ["a", f"{SECRET}\0"]}, "argv and environment must not contain a null character"),
        ({"argv": ["a"], "environment": {"A=B": SECRET}}, 'environment: "A=B" is no name of a variable'),
        ({"argv": ["a"], "expect_exit": 256}, "expect_exit must be an int from 0 to 255, not 256"),
        ({"argv": ["a"], "nagios": True, "expect_exit": 1}, "nagios and expect_exit exclude each other"),
    ],
)
def test_wrong_specification_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as raised:
        Engine().register("command", {"kind": "command", **fields})
    assert SECRET not in str(raised.value)


def test_other_checks_are_not_delayed() -> None:
    engine = Engine(default_timeout=3.0)
    engine.register("stuck", {"kind": "command", "argv": ["sleep", "600"]}, critical=False)
    engine.register("memory", {"kind": "memory"})
    started = time.monotonic()
    assert engine.check("memory", refresh=True)["status"] != "skipped"
    report = engine.run(refresh=True)
    assert time.monotonic() - started < 10
    assert report["checks"]["stuck"]["error_type"] == "TimeoutError"
    assert report["checks"]["memory"]["duration_ms"] < 2_500
