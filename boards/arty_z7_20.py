"""Arty Z7-20."""

from boards.board import XC7Z020, Board

BOARD = Board("arty-z7-20", "Arty Z7-20", "xc7z020clg400-1", XC7Z020, ps_clock_hz=50e6, jtag=("-b", "arty_z7_20"))
