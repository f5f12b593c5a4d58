"""PYNQ-Z1."""

from boards.board import XC7Z020, Board

BOARD = Board("pynq-z1", "PYNQ-Z1", "xc7z020clg400-1", XC7Z020, ps_clock_hz=50e6, jtag=("-c", "digilent"))
