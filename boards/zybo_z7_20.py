"""Zybo Z7-20."""

from boards.board import XC7Z020, Board

BOARD = Board("zybo-z7-20", "Zybo Z7-20", "xc7z020clg400-1", XC7Z020, ps_clock_hz=100e6 / 3, jtag=("-b", "zybo_z7_20"))
