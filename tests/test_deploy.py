"""`codesign deploy` against a real OpenSSH server; only the board's python3 is a stand-in that answers as check.py."""

import ast
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import numpy as np
import pytest

import boards.deploy
from boards.bitstream import BIT, FOLDER, HWH
from codesign.build import read_manifest
from codesign.cli import main
from tests.board_rig import IDENTITY, arguments_of, bitfile, make_build, make_texts, stand_in
from tests.interruption import heed_interruption
from tests.ssh_board import SshBoard, ssh_board

FOUND = {
    "frames": 4, "words": 64, "mismatches": 0, "first": None, "latency_last": 12, "fclk0_mhz": 100.0,
    "device": "StandIn", "software": "pynq 0", "python": "3.8.0",
}  # fmt: skip
HERE = Path(boards.deploy.__file__).parent
REMOTE = f"codesign/{IDENTITY:032x}"[: len("codesign/") + 16]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return make_texts()


@pytest.fixture
def build(tmp_path: Path, texts) -> Path:
    """A build with a bitstream."""
    folder = make_build(tmp_path / "build", texts)
    (folder / FOLDER).mkdir()
    (folder / FOLDER / BIT).write_bytes(bitfile())
    (folder / FOLDER / HWH).write_text("<x/>")
    for side in ("inputs", "outputs"):
        np.save(folder / "vectors" / f"{side}_0.npy", np.arange(64, dtype=np.uint32).reshape(4, 16, 1))
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[SshBoard]:
    with ssh_board(tmp_path_factory.mktemp("ssh")) as board:
        yield board


@pytest.fixture
def board(server: SshBoard, monkeypatch) -> SshBoard:
    """The server, with empty files, and as the only place where keys are looked for."""
    monkeypatch.setenv("HOME", str(server.client))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    subprocess.run(["rm", "-rf", server.home / "codesign"], check=True)
    answers(server, FOUND)
    return server


def answers(board: SshBoard, found: object, status: int = 0) -> None:
    """The board's python3 notes its arguments in its folder and says this on its last line."""
    text = f'#!/bin/sh\necho "$@" > arguments\necho starting\necho {shlex.quote(json.dumps(found))}\nexit {status}\n'
    (board.programs / "python3").write_text(text)
    (board.programs / "python3").chmod(0o755)


def deploy(build: Path, board: SshBoard, *more: str) -> int:
    return main(["deploy", str(build), *board.arguments, *more])


def test_files_arrive_and_what_the_board_finds_comes_back(build: Path, board: SshBoard, capsys) -> None:
    assert deploy(build, board) == 0
    told, there = capsys.readouterr().out, board.home / REMOTE
    assert "64 beats compared, 0 mismatches" in told and "took 12 cycles" in told and "StandIn" in told
    assert (there / BIT).read_bytes() == bitfile() and (there / "driver.py").exists()
    assert (there / "manifest.json").exists() and (there / "outputs_0.npy").exists()
    assert (there / "arguments").read_text().split() == ["check.py", "--attended"]
    assert json.loads((there / "clock.json").read_text()) == {"clock_hz": 100e6}
    deployed = read_manifest(build)["results"]["deployed"]
    assert FOUND.items() <= deployed.items() and deployed["host"] == f"{board.user}@127.0.0.1:{board.port}"


def test_what_has_arrived_is_not_sent_again(build: Path, board: SshBoard, capsys) -> None:
    def sent() -> list[str]:
        assert deploy(build, board, "--json") == 0
        return json.loads(capsys.readouterr().out)["sent"]

    assert BIT in sent()
    assert sent() == ["manifest.json"]  # which has the first deployment in it now
    there = board.home / REMOTE
    (there / BIT).write_bytes(bitfile()[:100])  # cut off, as an interruption of a plain copy would
    (there / f"{HWH}.part").write_bytes(b"half of it")
    assert BIT in (again := sent()) and HWH not in again
    assert (there / BIT).read_bytes() == bitfile()


def test_a_difference_is_told_by_place_and_value(build: Path, board: SshBoard, capsys) -> None:
    first = {"output": 0, "frame": 2, "beat": 5, "wanted": "0a", "got": "0b"}
    answers(board, {**FOUND, "mismatches": 3, "first": first})
    assert deploy(build, board) == 1
    assert "3 of 64 beats" in (told := capsys.readouterr().err) and "frame 2, beat 5: wanted 0x0a, got 0x0b" in told


def test_a_clock_that_is_too_fast_is_told(build: Path, board: SshBoard, capsys) -> None:
    answers(board, {**FOUND, "fclk0_mhz": 142.857})
    assert deploy(build, board) == 1
    assert "FCLK0 is 142.857 MHz, and the design was made for 100 MHz" in capsys.readouterr().err


def test_the_drivers_error_is_the_commands(build: Path, board: SshBoard, capsys) -> None:
    answers(board, {"error": "the bitstream is of another build"}, 1)
    assert deploy(build, board) == 1
    assert "the bitstream is of another build" in capsys.readouterr().err
    assert "deployed" not in read_manifest(build)["results"]


def test_a_board_without_python_is_told(build: Path, board: SshBoard, capsys) -> None:
    (board.programs / "python3").write_text("#!/bin/sh\necho Segmentation fault; exit 139\n")
    assert deploy(build, board) == 1
    assert "ended with status 139: Segmentation fault" in capsys.readouterr().err


def test_timing_that_was_not_met_is_said_again(build: Path, board: SshBoard, capsys) -> None:
    manifest = json.loads((build / "manifest.json").read_text())
    manifest["results"]["placed"] = {"failed": "timing: 1 ns too slow"}
    (build / "manifest.json").write_text(json.dumps(manifest))
    assert deploy(build, board) == 0
    assert "does not meet its timing" in capsys.readouterr().err


def test_an_unknown_key_is_refused_with_its_fingerprint(build: Path, board: SshBoard, capsys) -> None:
    known = board.client / ".ssh" / "known_hosts"
    kept = known.read_text()
    known.unlink()
    assert deploy(build, board) == 2
    fingerprint = asyncssh.import_public_key(kept.split(" ", 1)[1]).get_fingerprint()
    assert "is not known yet" in (told := capsys.readouterr().err) and fingerprint in told
    known.write_text(kept)
    assert not (board.home / "codesign").exists()


def test_another_key_than_before_is_refused(build: Path, board: SshBoard, capsys) -> None:
    known = board.client / ".ssh" / "known_hosts"
    kept = known.read_text()
    board.know(asyncssh.generate_private_key("ssh-ed25519"))
    assert deploy(build, board) == 2
    assert f"ssh-keygen -R '[127.0.0.1]:{board.port}'" in capsys.readouterr().err
    known.write_text(kept)


def test_a_key_that_the_board_does_not_take(build: Path, board: SshBoard, tmp_path: Path, capsys) -> None:
    other = tmp_path / "other"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(other))
    assert deploy(build, board, "--identity", str(other)) == 2
    assert "lets nobody in with the keys tried" in capsys.readouterr().err
    other.write_text("no key")
    assert deploy(build, board, "--identity", str(other)) == 2
    assert f"{other} cannot be used" in capsys.readouterr().err
    assert deploy(build, board, "--identity", str(board.client / ".ssh" / "id_ed25519")) == 0


def test_nobody_there(build: Path, board: SshBoard, capsys) -> None:
    assert main(["deploy", str(build), "--host", "u@127.0.0.1", "--port", "1"]) == 2
    assert "u@127.0.0.1:1 does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["board", "@board", "user@"])
def test_a_host_without_a_user_is_refused(build: Path, host: str, capsys) -> None:
    assert main(["deploy", str(build), "--host", host]) == 2
    assert "write it as xilinx@" in capsys.readouterr().err


def test_without_a_board_or_a_bitstream(build: Path, board: SshBoard, capsys) -> None:
    assert main(["deploy", str(build)]) == 2
    assert "--host USER@HOST" in capsys.readouterr().err
    (build / FOLDER / BIT).unlink()
    assert deploy(build, board) == 2
    assert "codesign bitstream" in capsys.readouterr().err


def test_a_check_that_does_not_end_is_ended(build: Path, board: SshBoard, capsys, monkeypatch) -> None:
    monkeypatch.setattr(boards.deploy, "_CHECK_S", 0.5)
    (board.programs / "python3").write_text("#!/bin/sh\nsleep 60\n")
    begun = time.monotonic()
    assert deploy(build, board) == 2
    assert "had not ended after 0.5 s" in capsys.readouterr().err and time.monotonic() - begun < 20


def test_an_interruption_ends_both_sides_and_the_next_deployment_works(build: Path, board: SshBoard) -> None:
    pid_file = board.home / "pid"
    (board.programs / "python3").write_text(f"#!/bin/sh\necho $$ > {pid_file}\nexec cat > /dev/null\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "codesign.cli", "deploy", str(build), *board.arguments], stderr=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        preexec_fn=heed_interruption,
    )  # fmt: skip
    for _ in range(600):
        if pid_file.exists() and pid_file.read_text().strip():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130 and told.strip() == "codesign: interrupted"
    for _ in range(100):
        if not Path(f"/proc/{pid_file.read_text().strip()}").exists():
            break
        time.sleep(0.05)
    assert not Path(f"/proc/{pid_file.read_text().strip()}").exists()
    answers(board, FOUND)
    assert deploy(build, board) == 0


def test_jtag_programs_the_board_of_the_build(build: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    tools = tmp_path / "tools"
    stand_in(tools, "openFPGALoader", "print('Load SRAM: 100%')")
    monkeypatch.setenv("PATH", str(tools))
    assert main(["deploy", str(build), "--jtag"]) == 0
    assert arguments_of(tools, "openFPGALoader") == ["-b", "pynq_z2", str(build / FOLDER / BIT)]
    told = capsys.readouterr()
    assert "the processing system must have booted" in told.err and "sudo sh board.sh --loaded" in told.out


def test_jtag_then_the_identity_over_ssh(build: Path, board: SshBoard, tmp_path: Path, monkeypatch, capsys) -> None:
    stand_in(tmp_path / "tools", "openFPGALoader", "")
    monkeypatch.setenv("PATH", str(tmp_path / "tools"), prepend=os.pathsep)
    answers(board, {"identity": f"{IDENTITY:032x}", "fclk0_mhz": 100.0, "python": "3.8.0"})
    assert deploy(build, board, "--jtag") == 0
    assert (board.home / REMOTE / "arguments").read_text().split() == ["check.py", "--attended", "--loaded"]
    assert f"identity {IDENTITY:032x} is that of the build" in capsys.readouterr().out
    answers(board, {"error": "the logic has identity 0"}, 1)
    assert deploy(build, board, "--jtag") == 1


def test_jtag_that_fails_and_jtag_without_the_program(build: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    assert main(["deploy", str(build), "--jtag"]) == 2
    assert "apt install openfpgaloader" in capsys.readouterr().err
    stand_in(tmp_path / "tools", "openFPGALoader", "print('Error: JTAG init failed with: no device'); sys.exit(1)")
    assert main(["deploy", str(build), "--jtag"]) == 1
    assert "Error: JTAG init failed" in capsys.readouterr().err


def beside(folder: Path, driver: str) -> list[str]:
    """check.py with this as its driver, ready to run."""
    for name in ("check.py", "board.sh"):
        (folder / name).write_bytes((HERE / name).read_bytes())
    (folder / "driver.py").write_text("BASE = 0\nclass DriverError(Exception): pass\nclass Accelerator: pass\n"
                                      f"class LinuxDevice:\n    {driver}\nPynqDevice = LinuxDevice\n")  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps({"board": {"ps_clock_hz": 50e6}, "system": {}}))
    (folder / "clock.json").write_text('{"clock_hz": 1e8}')
    return ["sh", "board.sh", "--attended", "--memory", "0x1000:64"]


def test_the_check_ends_when_nobody_listens_any_more(tmp_path: Path) -> None:
    command = beside(tmp_path, "def __init__(self, *_, **__): import time; print('up', flush=True); time.sleep(60)")
    environment = {**os.environ, "CODESIGN_WITHOUT_ROOT": "1"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=-1, stdout=-1) as process:
        assert process.stdout and process.stdin and process.stdout.readline() == b"up\n"
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(10) == 1


def test_the_check_tells_an_error_as_json(tmp_path: Path) -> None:
    command = beside(tmp_path, "def __init__(self, *_, **__): raise DriverError('no board')")
    command.remove("--attended")  # nobody holds its input open here
    environment = {**os.environ, "CODESIGN_WITHOUT_ROOT": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and json.loads(done.stdout)["error"] == "no board"


def test_the_boards_scripts_are_python_3_8() -> None:
    source = (HERE / "check.py").read_text()
    tree = ast.parse(source, feature_version=(3, 8))
    plain = {n.names[0].name for n in ast.walk(tree) if isinstance(n, ast.Import)}
    assert plain <= {"argparse", "json", "os", "platform", "sys", "threading", "numpy", "pynq"}
