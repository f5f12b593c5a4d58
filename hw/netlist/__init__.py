"""Circuits as lists of 7-series primitives, made in Python: counted, timed, run and written without synthesis.

For networks whose every weight has its own gates: tens of thousands of cells, which no general language elaborates
fast enough. `cells` builds, `tables` knows truth tables, `run` evaluates, `pipeline` inserts registers and `verilog`
writes them, `circuit` puts them into a design; of what is built, `chains` adds heaps, `products` makes those of dot
products, and `dense` makes layers of constant weights, by a `matrix` with a `staircase` behind it.
"""
