"""Evaluation of a netlist on many samples at once, in NumPy: the model that every written form must equal."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hw.netlist.cells import Carry, Literal, Lut, Netlist, Register


def run(netlist: Netlist, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Output bits (samples, width) of input bits (samples, width), registers taken as wires."""
    samples = len(next(iter(inputs.values())))
    values: list[np.ndarray | None] = [None] * netlist.nets
    values[0] = np.zeros(samples, np.uint8)
    for name, nets in netlist.inputs.items():
        for k, net in enumerate(nets):
            values[net] = inputs[name][:, k].astype(np.uint8)
    for cell in netlist.cells:
        _evaluate(cell, values)
    return {name: _outputs(bits, values) for name, bits in netlist.outputs.items()}


def _outputs(bits: list[Literal], values: list[np.ndarray | None]) -> np.ndarray:
    none = np.zeros((len(_known(values, 0)), 0), np.uint8)
    return np.column_stack([none, *(_bit(values, bit) for bit in bits)])


def _bit(values: list[np.ndarray | None], bit: Literal) -> np.ndarray:
    return _known(values, bit >> 1) ^ (bit & 1)


def _known(values: list[np.ndarray | None], net: int) -> np.ndarray:
    value = values[net]
    assert value is not None, "cells are in topological order"
    return value


def _evaluate(cell: Lut | Carry | Register, values: list[np.ndarray | None]) -> None:
    if isinstance(cell, Register):
        values[cell.output] = _known(values, cell.input)
    elif isinstance(cell, Lut):
        row = np.zeros(len(_known(values, 0)), np.uint8)
        for j, net in enumerate(cell.inputs):
            row |= _known(values, net) << j
        for table, output in zip(cell.tables, cell.outputs, strict=True):
            rows = np.array([table >> k & 1 for k in range(1 << len(cell.inputs))], np.uint8)
            values[output] = rows[row]
    else:
        carry = np.full(len(_known(values, 0)), cell.carry_in, np.uint8)
        for k, (select, data) in enumerate(zip(cell.select, cell.data, strict=True)):
            chosen = _bit(values, select)
            values[cell.outputs[k]] = chosen ^ carry
            carry = np.where(chosen == 1, carry, _bit(values, data))
        values[cell.outputs[-1]] = carry
