"""What an operation costs in energy: an estimate from a table of a 45 nm ASIC, which this chip is not."""

from __future__ import annotations

PICOJOULES = {
    "int32 add": 0.1,
    "float32 add": 0.9,
    "register file": 1.0,
    "int32 multiply": 3.1,
    "float32 multiply": 3.7,
    "SRAM": 5.0,  # 32 bits read
    "DRAM": 640.0,
}
SOURCE = "estimate, 45 nm ASIC table, not this chip"
RULES = (
    "multiplications of a x b bits take a*b/1024 of a 32-bit one (1 x 1 bit: one gate), additions and comparisons "
    "go with their width, real numbers count as float32, and every multiply-accumulate reads its weight from SRAM; "
    "moving activations is left out"
)
WORD_BITS = 32


def multiply_pj(bits: int | None, other_bits: int | None) -> float:
    """One multiplication of two widths; None is a real number, which makes it a float32 one."""
    if bits is None or other_bits is None:
        return PICOJOULES["float32 multiply"]
    return PICOJOULES["int32 multiply"] * bits * other_bits / WORD_BITS**2


def add_pj(bits: int | None) -> float:
    """One addition or comparison; None is a real number."""
    return PICOJOULES["float32 add"] if bits is None else PICOJOULES["int32 add"] * bits / WORD_BITS


def read_pj(bits: int | None) -> float:
    """A weight from SRAM; None is a real number."""
    return PICOJOULES["SRAM"] * (WORD_BITS if bits is None else bits) / WORD_BITS
