"""Boards as plain data; one file a board, listed here."""

from __future__ import annotations

from boards import arty_z7_20, pynq_z1, pynq_z2, zedboard, zybo_z7_20
from boards.board import Board
from codesign.errors import UserError

BOARDS = (pynq_z1.BOARD, pynq_z2.BOARD, arty_z7_20.BOARD, zedboard.BOARD, zybo_z7_20.BOARD)


def board_named(name: str) -> Board:
    """The board of that name; UserError lists the known ones."""
    for board in BOARDS:
        if board.name == name:
            return board
    raise UserError(f"no board '{name}'; known boards: {', '.join(b.name for b in BOARDS)}")
