"""What stands beside the sources in a folder that is taken to another machine."""

from __future__ import annotations

from boards import openxc7, vivado
from boards.board import Board

_TEXT = """\
# A bitstream for {title} ({part})

Made by `codesign bitstream`. Everything that is needed lies in this folder; nothing outside it is read.

*With Vivado* (any that knows the part; the free edition does):

    {vivado_command}

*With openXC7*: Yosys, Python, xc7frames2bit and nextpnr-himbaechel-xilinx or nextpnr-xilinx on PATH (Debian:
`apt install yosys nextpnr-himbaechel-xilinx prjxray prjxray-database`, which needs neither variable), and

    export CODESIGN_PRJXRAY_DB=.../prjxray-db/zynq7   # holds {part}/part.yaml
    export CODESIGN_CHIPDB=.../{device}.bin           # for nextpnr-xilinx: its chip database
    sh {openxc7_script}

Either writes `accelerator.bit` here, with its reports. Copy the folder back over BUILD/bitstream, then

    codesign bitstream BUILD --read-back

reads timing ({clock_mhz:g} MHz is the constraint, FCLK0 as the board gives it) and area into the build.
`accelerator.hwh` is what PYNQ reads beside the bitstream.
"""


def readme(board: Board, clock_mhz: float) -> str:
    return _TEXT.format(
        title=board.title, part=board.part, device=openxc7.device(board.part), clock_mhz=clock_mhz,
        vivado_command=" ".join(vivado.command(vivado.PROGRAM)), openxc7_script=openxc7.SCRIPT,
    )  # fmt: skip
