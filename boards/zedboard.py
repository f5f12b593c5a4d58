"""ZedBoard."""

from boards.board import XC7Z020, Board

BOARD = Board("zedboard", "ZedBoard", "xc7z020clg484-1", XC7Z020, ps_clock_hz=100e6 / 3, jtag=("-b", "zedboard"))
