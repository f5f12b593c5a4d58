"""A board over SSH: connect, copy what it lacks, run, read back. Every wait ends; every failure is one line."""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import shlex
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from boards.ssh_errors import told
from boards.target import CONNECT_S, Target
from codesign.errors import UserError

if TYPE_CHECKING:
    import asyncssh

T = TypeVar("T")
_WORK = "codesign"  # name of our own tasks, beside asyncssh's
_CHUNK = 4096
_GOODBYE_S = 5
_ALIVE_S = 15  # between signs of life


class Connection:
    """An open connection; paths on the board are relative to the user's home."""

    def __init__(self, target: Target, loop: asyncio.AbstractEventLoop, ssh: Any, passwords: _Passwords) -> None:
        self.target = target
        self._loop, self._ssh, self._passwords = loop, ssh, passwords

    def upload(self, folder: str, files: Mapping[str, bytes]) -> list[str]:
        """Copy the files that the folder lacks or has otherwise; their names. A file is there whole or not at all."""
        return self._do(self._upload(folder, files))

    def run(
        self, command: str, timeout_s: float, given: str = "", heard: Callable[[str], None] = lambda line: None
    ) -> int:
        """The exit status of a shell command; `heard` gets its lines, errors included. UserError after `timeout_s`.

        Its input stays open to its end: what must not outlive the connection ends itself when that closes.
        """
        return self._do(self._run(command, timeout_s, given, heard))

    def read(self, path: str) -> bytes:
        return self._do(self._read(path))

    def ask_password(self) -> str | None:
        """The user's password: the one that opened the connection, or asked for; None where nobody can be asked."""
        return self._passwords.password or self._passwords.ask()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        with told(self.target):
            return self._loop.run_until_complete(self._loop.create_task(work, name=_WORK))

    async def _upload(self, folder: str, files: Mapping[str, bytes]) -> list[str]:
        there = await self._hashes(folder)
        sent = [name for name, content in files.items() if there.get(name) != _digest(content)]
        async with self._ssh.start_sftp_client() as sftp:
            await sftp.makedirs(folder, exist_ok=True)
            for name in sent:
                async with sftp.open(f"{folder}/{name}.part", "wb") as file:
                    await file.write(files[name])
                await sftp.posix_rename(f"{folder}/{name}.part", f"{folder}/{name}")
        there = await self._hashes(folder) if sent else there
        broken = [name for name, content in files.items() if there.get(name) != _digest(content)]
        if broken:
            raise UserError(f"{broken[0]} did not arrive whole on {self.target}; is its card full?")
        return sent

    async def _hashes(self, folder: str) -> dict[str, str]:
        """SHA-256 of the folder's files by name."""
        done = await self._ssh.run(f"cd && cd {shlex.quote(folder)} 2>/dev/null && sha256sum -b -- * 2>/dev/null")
        pairs = (line.split(" *", 1) for line in str(done.stdout or "").splitlines())
        return {pair[1]: pair[0] for pair in pairs if len(pair) == 2}

    async def _run(self, command: str, timeout_s: float, given: str, heard: Callable[[str], None]) -> int:
        import asyncssh

        process = await self._ssh.create_process(f"cd && {command}", stderr=asyncssh.STDOUT)
        try:
            return await asyncio.wait_for(_listen(process, given, heard), timeout_s)
        except asyncio.TimeoutError:
            raise UserError(f"{self.target}: `{command}` had not ended after {timeout_s:g} s") from None
        finally:
            if process.exit_status is None:
                process.terminate()
            process.close()

    async def _read(self, path: str) -> bytes:
        async with self._ssh.start_sftp_client() as sftp, sftp.open(path, "rb") as file:
            return bytes(await file.read())


@contextmanager
def connect(target: Target) -> Iterator[Connection]:
    """UserError says why there is no connection; the board's key must be known (~/.ssh/known_hosts)."""
    try:
        import asyncssh
    except ImportError:
        raise UserError("SSH needs the package asyncssh: pip install 'codesign[deploy]'") from None
    loop, asked = asyncio.new_event_loop(), _Passwords(target)
    options: dict[str, Any] = {"client_keys": [str(target.identity)]} if target.identity else {}
    if target.identity:
        options |= {"agent_path": None}
    opening = asyncssh.connect(
        target.host, target.port, username=target.user, connect_timeout=CONNECT_S, keepalive_interval=_ALIVE_S,
        client_factory=asked.client, passphrase=asked.passphrase, **options,
    )  # fmt: skip
    try:
        with told(target):
            ssh = loop.run_until_complete(_awaited(opening))
        try:
            yield Connection(target, loop, ssh, asked)
        finally:
            _end_work(loop)
            ssh.close()
            loop.run_until_complete(_closed(ssh))
    finally:
        _end_work(loop)
        loop.close()


def _end_work(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what an interruption has left under way, so that it can tidy up."""
    left = [t for t in asyncio.all_tasks(loop) if not t.done() and t.get_name() == _WORK]
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=CONNECT_S))


async def _awaited(opening: Any) -> Any:
    return await opening


async def _closed(ssh: asyncssh.SSHClientConnection) -> None:
    import asyncssh

    try:
        await asyncio.wait_for(ssh.wait_closed(), _GOODBYE_S)
    except (OSError, asyncssh.Error, asyncio.TimeoutError):
        ssh.abort()  # it is gone, which is all that is wanted here


async def _listen(process: asyncssh.SSHClientProcess[str], given: str, heard: Callable[[str], None]) -> int:
    if given:
        with suppress(BrokenPipeError):  # it has ended without reading
            process.stdin.write(given)
    rest = ""
    while chunk := await process.stdout.read(_CHUNK):
        *lines, rest = (rest + str(chunk)).split("\n")
        for line in lines:
            heard(line)
    if rest:
        heard(rest)
    done = await process.wait()
    return -1 if done.exit_status is None else done.exit_status


class _Passwords:
    """Asks at the terminal, once each, and only where there is one."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.password: str | None = None

    def client(self) -> asyncssh.SSHClient:
        import asyncssh

        passwords = self

        class Client(asyncssh.SSHClient):
            def password_auth_requested(self) -> str | None:
                return passwords.ask()

            def kbdint_auth_requested(self) -> str:
                return ""  # no name of a method: whichever the board has

            def kbdint_challenge_received(
                self, name: str, instructions: str, lang: str, prompts: Any
            ) -> list[str] | None:
                answer = passwords.ask() if len(prompts) == 1 else None
                return [] if not prompts else None if answer is None else [answer]

        return Client()

    def ask(self) -> str | None:
        if self.password is not None or not sys.stdin.isatty():
            return None  # a second request means that the first answer was wrong
        self.password = getpass.getpass(f"password of {self.target}: ")
        return self.password

    def passphrase(self, file: str) -> str | None:
        return getpass.getpass(f"passphrase of {file}: ") if sys.stdin.isatty() else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
