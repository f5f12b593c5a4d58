"""What of openXC7 is found and preferred, and what its netlist must not hold."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from boards import openxc7
from boards.openxc7 import FILES, NETLIST, find, synthesis
from codesign.errors import UserError
from hw.yosys import run_yosys
from tests.board_rig import arguments_of, stand_in
from tests.test_frames import PART, make_database

CHIPDB, DATABASE, PREFIX = "CODESIGN_CHIPDB", "CODESIGN_PRJXRAY_DB", "CODESIGN_OPENXC7"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch) -> Path:
    """An empty folder that alone is PATH; a database is named, and no chip database."""
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    monkeypatch.setenv(DATABASE, str(make_database(tmp_path / "db")))
    for name in (CHIPDB, PREFIX):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "tools"


def install(folder: Path, *names: str) -> None:
    for name in names:
        stand_in(folder, name, "")


def test_the_nextpnr_that_needs_no_file_is_preferred(tools: Path, tmp_path: Path, monkeypatch) -> None:
    install(tools, "nextpnr-xilinx", "xc7frames2bit")
    with pytest.raises(UserError, match=r"CODESIGN_CHIPDB names no chip database \(a file such as xc7z020.bin\)"):
        find(PART)
    (tmp_path / "xc7z020.bin").write_text("")
    monkeypatch.setenv(CHIPDB, str(tmp_path / "xc7z020.bin"))
    assert find(PART).placer[:3] == (str(tools / "nextpnr-xilinx"), "--chipdb", str(tmp_path / "xc7z020.bin"))
    assert openxc7.commands(find(PART), PART, 100, "top.bit")[0][0] == "placement and routing"
    install(tools, "nextpnr-himbaechel-xilinx")
    assert find(PART).placer[:3] == (str(tools / "nextpnr-himbaechel-xilinx"), "--device", PART)
    assert openxc7.commands(find(PART), PART, 100, "top.bit")[0][0] == "carry chains"


def test_all_that_is_missing_is_told_at_once(tools: Path, monkeypatch) -> None:
    monkeypatch.delenv(DATABASE)
    monkeypatch.setattr(openxc7, "_DEBIAN_DATABASE", "/nowhere")
    with pytest.raises(UserError) as caught:
        find(PART)
    for told in ("neither nextpnr-himbaechel-xilinx nor nextpnr-xilinx", "xc7frames2bit is not", f"{PART}/part.yaml"):
        assert told in str(caught.value)


def test_debians_database_is_found_unnamed(tools: Path, monkeypatch) -> None:
    install(tools, "nextpnr-himbaechel-xilinx", "xc7frames2bit")
    monkeypatch.setattr(openxc7, "_DEBIAN_DATABASE", os.environ[DATABASE])
    monkeypatch.delenv(DATABASE)
    assert find(PART).database == openxc7._DEBIAN_DATABASE


def test_programs_are_found_below_a_prefix(tools: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "prefix").mkdir()
    install(tmp_path / "prefix" / "bin", "nextpnr-himbaechel-xilinx", "xc7frames2bit")
    with pytest.raises(UserError, match="xc7frames2bit is not on PATH"):
        find(PART)
    monkeypatch.setenv(PREFIX, str(tmp_path / "prefix"))
    assert find(PART).assembler == str(tmp_path / "prefix" / "bin" / "xc7frames2bit")


def script_run(tools: Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "build.sh").write_text(openxc7.script(["top.v"], "top", PART, 100, "top.bit"))
    install(tools, "yosys", "xc7frames2bit", "python3")
    for name in ("sh", "dirname"):
        found = shutil.which(name, path=os.defpath)
        assert found
        (tools / name).symlink_to(found)
    env = {**os.environ, **environment}
    return subprocess.run([str(tools / "sh"), "build.sh"], cwd=folder, env=env, capture_output=True, text=True)


def test_the_shell_script_takes_the_other_nextpnr_with_its_file(tools: Path, tmp_path: Path) -> None:
    install(tools, "nextpnr-xilinx")
    assert script_run(tools, tmp_path, CODESIGN_CHIPDB="a folder/x.bin").returncode == 0
    wanted = ["--chipdb", "a folder/x.bin", "--xdc", openxc7.CONSTRAINTS, "--fasm", "top.fasm", "--json", NETLIST]
    assert arguments_of(tools, "nextpnr-xilinx")[:8] == wanted
    assert arguments_of(tools, "python3") == ["frames.py", os.environ[DATABASE], PART, "top.fasm", "top.frames"]


@pytest.mark.parametrize(("names", "told"), [({}, "CODESIGN_CHIPDB: names no chip database"),
                                             ({DATABASE: "/nowhere"}, f"no folder with {PART}/part.yaml")])  # fmt: skip
def test_the_shell_script_tells_what_is_missing_first(tools: Path, tmp_path: Path, names, told: str) -> None:
    done = script_run(tools, tmp_path, **names)
    assert done.returncode and told in done.stderr
    assert not (tools / "yosys.arguments").exists()


SHIFTED = """
module top(input c, e, input [5:0] a, output o5, o6, output reg q);
reg [7:0] line; always @(posedge c) if (e) {q, line} <= {line, a[0]};
LUT6_2 #(.INIT(64'h8000000080000001)) lut(.I0(a[0]), .I1(a[1]), .I2(a[2]), .I3(a[3]), .I4(a[4]), .I5(a[5]),
    .O5(o5), .O6(o6));
endmodule
"""


def test_the_netlist_has_only_cells_that_nextpnr_routes() -> None:
    script = (
        synthesis(["top.v"], "top")
        + "select -assert-none t:LUT6_2 t:SRL* t:$scopeinfo\nselect -assert-count 9 t:FDRE\n"
    )
    _, written = run_yosys(script, {"top.v": SHIFTED, **FILES}, [NETLIST])
    assert '"LUT6"' in written[NETLIST] and '"LUT5"' in written[NETLIST]
