"""Every operator of the importer's table against the qonnx package or onnxruntime with graph optimizations off."""

from __future__ import annotations

from pathlib import Path

import pytest

from codesign.importer.handlers import HANDLED, ROWS
from tests.onnx_models import check
from tests.operator_functions import FUNCTIONS
from tests.operator_movements import MOVEMENTS
from tests.operator_products import PRODUCTS
from tests.operator_quantizers import QUANTIZERS

CASES = {**QUANTIZERS, **PRODUCTS, **FUNCTIONS, **MOVEMENTS}


@pytest.mark.parametrize("name", CASES)
def test_operator(name: str, tmp_path: Path) -> None:
    check(CASES[name], tmp_path)


def test_every_row_has_a_case() -> None:
    tested = {name.split()[0] for name in CASES} | {"TopK"}
    elsewhere = {name for name in ROWS if ROWS[name].integers == HANDLED}  # test_importer_qoperator.py
    assert tested | elsewhere | {"Weights"} == set(ROWS)  # of compressed files: test_compress_storage.py
