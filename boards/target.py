"""Who and where a board is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from codesign.errors import UserError

CONNECT_S = 20  # for a board to answer at all


@dataclass(frozen=True)
class Target:
    """Who and where; `identity`: a private key file instead of the user's own keys and agent."""

    user: str
    host: str
    port: int = 22
    identity: Path | None = None

    @classmethod
    def parse(cls, text: str, port: int = 22, identity: Path | None = None) -> Target:
        user, at, host = text.rpartition("@")
        if not at or not user or not host:
            raise UserError(f"'{text}' does not name a user and a board; write it as xilinx@192.168.2.99")
        if identity is not None and not identity.is_file():
            raise UserError(f"{identity} is no key file")
        return cls(user, host, port, identity)

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" + (f":{self.port}" if self.port != 22 else "")
