"""Netlists in both their Verilog forms, primitives.v and plain.v, side by side for Yosys' SAT."""

MITER = """\
read_verilog +/xilinx/cells_sim.v
read_verilog primitives.v
prep -flatten -top primitives
design -stash primitives
read_verilog -D CODESIGN_GENERIC plain.v
prep -flatten -top plain
design -stash plain
design -copy-from plain -as plain plain
design -copy-from primitives -as primitives primitives
miter -equiv -flatten plain primitives miter
hierarchy -top miter
"""
