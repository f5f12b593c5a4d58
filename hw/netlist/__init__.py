"""Circuits as lists of 7-series primitives, made in Python: counted, timed, run and written without synthesis.

For networks whose every weight has its own gates: tens of thousands of cells, which no general language elaborates
fast enough. `cells` builds, `tables` knows truth tables, `run` evaluates, `pipeline` inserts registers and `verilog`
writes them; `heap`, `matrix`, `staircase` and `dense` are what is built.
"""
