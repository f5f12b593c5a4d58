"""What asyncssh raises, in the user's words."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from boards.target import CONNECT_S, Target
from codesign.errors import UserError


@contextmanager
def told(target: Target) -> Iterator[None]:
    """asyncssh's errors in the user's words."""
    import asyncssh

    try:
        yield
    except asyncssh.HostKeyNotVerifiable:
        raise UserError(_unverified(target)) from None
    except asyncssh.PermissionDenied:
        raise UserError(
            f"{target} lets nobody in with the keys tried; give one by --identity, or run in a terminal to be asked "
            "for a password (on PYNQ images: user xilinx, password xilinx)"
        ) from None
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as e:
        raise UserError(f"{target.identity or 'a private key'} cannot be used: {e}") from None
    except asyncssh.SFTPError as e:
        raise UserError(f"{target}: {e.reason}") from None
    except asyncssh.Error as e:
        raise UserError(
            f"the connection to {target} ended: {e}; run again, what has arrived is not sent twice"
        ) from None
    except (OSError, asyncio.TimeoutError) as e:
        reason = str(e) or "no answer in time"
        raise UserError(f"{target} does not answer ({reason}); is it on, and in this network?") from None


def _unverified(target: Target) -> str:
    """Whether the board's key is unknown, or another one than before."""
    import asyncssh

    known = Path(os.path.expanduser("~")) / ".ssh" / "known_hosts"
    trusted = asyncssh.match_known_hosts(str(known), target.host, "", target.port)[0] if known.exists() else ()
    key = asyncio.run(_key_of(target))
    shown = f" ({key})" if key else ""
    if trusted:
        return (
            f"{target.host} shows another key{shown} than {known} has for it. A card written anew does that (then "
            f"remove the old one: ssh-keygen -R {_name(target)}), and so does someone between you and the board"
        )
    return (
        f"the key of {target.host}{shown} is not known yet. Connect once by `ssh -p {target.port} {target.user}@"
        f"{target.host}`, compare the fingerprint with the board's (on it: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key"
        ".pub), and accept it"
    )


async def _key_of(target: Target) -> str:
    import asyncssh

    try:
        key = await asyncio.wait_for(asyncssh.get_server_host_key(target.host, target.port), CONNECT_S)
    except (OSError, asyncssh.Error, asyncio.TimeoutError):
        return ""
    return key.get_fingerprint() if key else ""


def _name(target: Target) -> str:
    return target.host if target.port == 22 else f"'[{target.host}]:{target.port}'"
