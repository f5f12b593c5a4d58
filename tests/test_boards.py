"""What a board can give to its logic, and that PYNQ finds it in the `.hwh`."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from boards import BOARDS, board_named
from boards.board import Board
from boards.overlay import BASE_ADDRESS, INSTANCE, RANGE_BYTES, VLNV, hwh
from codesign.errors import UserError
from hw.axi.registers import Register, register_map

REGISTERS = register_map(2, 1)


@pytest.fixture(params=BOARDS, ids=lambda b: b.name)
def board(request) -> Board:
    return request.param


@pytest.mark.parametrize("mhz", [0.3, 10, 50, 62.5, 100, 125, 142.9, 150, 200, 250, 400])
def test_the_clock_is_the_fastest_that_is_not_faster(board: Board, mhz: float) -> None:
    fclk = board.fclk(mhz * 1e6)
    product = fclk.divisor0 * fclk.divisor1
    assert fclk.hz == board.io_pll_hz / product <= min(mhz, 250) * 1e6 * (1 + 1e-6)
    faster = [p for p in range(1, product) if any(p % a == 0 and p // a < 64 for a in range(1, min(p, 63) + 1))]
    assert all(board.io_pll_hz / p > min(mhz, 250) * 1e6 for p in faster)


def test_100_mhz_is_100_mhz() -> None:
    assert board_named("pynq-z2").fclk(100e6).hz == 100e6


def test_a_clock_that_no_divisor_gives_is_refused() -> None:
    with pytest.raises(UserError, match=r"0\.2 MHz is below .* PYNQ-Z1 .* 0\.252 MHz"):
        board_named("pynq-z1").fclk(0.2e6)


@pytest.fixture
def overlay(board: Board, tmp_path: Path) -> Path:
    path = tmp_path / "accelerator.hwh"
    path.write_text(hwh(REGISTERS, board, 150e6))
    return path


def as_pynq_has_it(r: Register) -> dict[str, tuple[int, int]]:
    return {f.name: (f.low, f.bits) for f in r.fields} or {"value": (0, 32)}


def check_ip(ip: dict) -> None:
    assert (ip["phys_addr"], ip["addr_range"], ip["type"]) == (BASE_ADDRESS, RANGE_BYTES, VLNV)
    assert ip["registers"].keys() == {r.name for r in REGISTERS}
    for r in REGISTERS:
        found = ip["registers"][r.name]
        assert (found["address_offset"], found["size"], found["description"]) == (r.offset, 32, r.text)
        assert found["access"] == ("read-only" if r.access == "read-only" else "read-write")
        assert {k: (f["bit_offset"], f["bit_width"]) for k, f in found["fields"].items()} == as_pynq_has_it(r)


def test_pynq_4_finds_registers_and_clock(board: Board, overlay: Path) -> None:
    pytest.importorskip("pynqmetadata", reason="the extra `pynq` is not installed")
    from pynqmetadata.frontends import Metadata
    from pynqmetadata.views.runtime import RuntimeMetadataParser

    parsed = RuntimeMetadataParser(Metadata(input=str(overlay)))
    check_ip(parsed.ip_dict[INSTANCE])
    clocks, fclk = dict(parsed.clock_dict.items()), board.fclk(150e6)
    assert [clocks[k]["enable"] for k in range(4)] == [1, 0, 0, 0]
    assert (clocks[0]["divisor0"], clocks[0]["divisor1"]) == (fclk.divisor0, fclk.divisor1)
    assert clocks[0]["frequency"] == pytest.approx(fclk.hz / 1e6, abs=1e-6)


def test_the_register_map_reads_and_writes_fields(overlay: Path) -> None:
    """What `Overlay(...).accelerator.register_map` is, on an array instead of the logic."""
    pytest.importorskip("pynq", reason="the extra `pynq` is not installed")
    from pynq.registers import RegisterMap
    from pynqmetadata.frontends import Metadata
    from pynqmetadata.views.runtime import RuntimeMetadataParser

    parsed, page = RuntimeMetadataParser(Metadata(input=str(overlay))), np.zeros(RANGE_BYTES // 4, np.uint32)
    registers = RegisterMap.create_subclass("Page", parsed.ip_dict[INSTANCE]["registers"])(page)
    page[0x08 // 4] = 1 << 2 | 5 << 12
    assert (int(registers.status.refused), int(registers.status.write_error)) == (1, 5)
    registers.start.frames = 7
    registers.source1 = 0x1234
    assert page[0x14 // 4] == 7 and page[0x84 // 4] == 0x1234 and "frames_done" in repr(registers)
    with pytest.raises(AttributeError):
        registers.status.busy = 1


def test_the_parser_of_older_pynq_images_finds_the_same(board: Board, overlay: Path, monkeypatch) -> None:
    """Boards run PYNQ 2.7, whose parser 4.0 still carries."""
    parser = pytest.importorskip("pynq.pl_server.hwh_parser", reason="the extra `pynq` is not installed")
    monkeypatch.setattr(parser._HWHZynq, "init_mem_dict", lambda self: None)  # asks the board for its memory
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parsed = parser._HWHZynq(str(overlay))
    check_ip(parsed.ip_dict[INSTANCE])
    fclk = board.fclk(150e6)
    assert parsed.clock_dict[0] == {"enable": 1, "divisor0": fclk.divisor0, "divisor1": fclk.divisor1}
    assert not any(parsed.clock_dict[k]["enable"] for k in (1, 2, 3))


def test_the_same_build_gives_the_same_text(board: Board) -> None:
    assert hwh(REGISTERS, board, 100e6) == hwh(REGISTERS, board, 100e6)
