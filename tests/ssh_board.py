"""A real OpenSSH server on loopback, with keys of its own, whose machine is a folder."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

_SFTP = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")

_CONFIG = """\
ListenAddress 127.0.0.1
Port {board.port}
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/authorized_keys
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
Subsystem sftp {sftp} -d {board.home}
SetEnv HOME={board.home} TMPDIR={board.home} PATH={board.programs}:{path} CODESIGN_WITHOUT_ROOT=1
"""


@dataclass(frozen=True)
class SshBoard:
    """`home`: the board's files; `programs`: what is first on its PATH; `client`: the home of who connects."""

    home: Path
    programs: Path
    client: Path
    port: int
    user: str

    @property
    def arguments(self) -> list[str]:
        return ["--host", f"{self.user}@127.0.0.1", "--port", str(self.port)]

    def know(self, key: asyncssh.SSHKey) -> None:
        """The only key that the client knows of the board."""
        line = f"[127.0.0.1]:{self.port} {key.export_public_key().decode()}"
        (self.client / ".ssh" / "known_hosts").write_text(line)


@contextmanager
def ssh_board(folder: Path) -> Iterator[SshBoard]:
    """The server runs until the end of the block; skips where there is none."""
    sshd, sftp = (
        shutil.which("sshd", path="/usr/sbin:/sbin:/usr/bin"),
        next((p for p in _SFTP if os.path.exists(p)), ""),
    )
    if sshd is None or not sftp:
        pytest.skip("no OpenSSH server here (Debian: apt install openssh-server)")
    folder.chmod(0o755)
    host, mine = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    board = SshBoard(folder / "home", folder / "programs", folder / "client", _free_port(), getpass.getuser())
    for path in (board.home, board.programs, board.client / ".ssh"):
        path.mkdir(parents=True)
    for key, path in ((host, folder / "host_key"), (mine, board.client / ".ssh" / "id_ed25519")):
        key.write_private_key(str(path))
        path.chmod(0o600)
    (folder / "authorized_keys").write_bytes(mine.export_public_key())
    board.know(host)
    (folder / "config").write_text(_CONFIG.format(board=board, folder=folder, sftp=sftp, path=os.defpath))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where a server of root's goes for what it distrusts
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([sshd, "-D", "-e", "-f", folder / "config"], stderr=log)
        try:
            _wait_for(board.port, folder / "log")
            yield board
        finally:
            server.terminate()
            server.wait()


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _wait_for(port: int, log: Path) -> None:
    for _ in range(200):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.skip(f"the OpenSSH server does not start: {log.read_text().strip()[-300:]}")
