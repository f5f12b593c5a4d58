"""The packaged IP names exactly the ports and files of the RTL."""

import json
import re
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from boards.ipxact import component
from codesign.cli import main
from hw.describe import describe_rtl
from hw.rtl import verilog
from tests.board_rig import make_build, make_texts
from tests.test_axi_text import pipelines

S = "{http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009}"


def ports_of(verilog_text: str) -> dict[str, tuple[str, int]]:
    """Direction and width of the top module's ports, read from its text."""
    module = re.search(r"^module accelerator\(.*?^endmodule", verilog_text, re.MULTILINE | re.DOTALL)
    assert module
    found = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);$", module[0], re.MULTILINE)
    return {name: (direction.removesuffix("put"), int(high or 0) + 1) for direction, high, name in found}


@pytest.mark.parametrize(("lanes", "streams"), [(1, 1), (3, 2)])
def test_ports_are_those_of_the_rtl(lanes: int, streams: int) -> None:
    pipeline = pipelines(lanes, streams)
    root, ports = fromstring(component(describe_rtl(pipeline), "x")), ports_of(verilog(pipeline))
    named = {}
    for port in root.iter(f"{S}port"):
        left = port.findtext(f".//{S}left")
        named[port.findtext(f"{S}name")] = (port.findtext(f".//{S}direction"), int(left or 0) + 1)
    assert named == ports
    physical = [m.findtext(f"{S}physicalPort/{S}name") for m in root.iter(f"{S}portMap")]
    assert sorted(map(str, physical)) == sorted(ports)  # every pin in one interface, none twice


def test_streams_face_the_right_way_and_the_clock_knows_them() -> None:
    root = fromstring(component(describe_rtl(pipelines(3, 2)), "x"))
    buses = {b.findtext(f"{S}name"): b for b in root.iter(f"{S}busInterface")}
    sides = {name: "slave" if b.find(f"{S}slave") is not None else "master" for name, b in buses.items()}
    assert sides == {"s0_axis": "slave", "s1_axis": "slave", "m0_axis": "master", "m1_axis": "master",
                     "aclk": "slave", "aresetn": "slave"}  # fmt: skip
    values = {e.get(f"{S}id"): e.text for e in root.iter(f"{S}value")}
    assert values["BUSIFPARAM_VALUE.ACLK.ASSOCIATED_BUSIF"] == "s0_axis:s1_axis:m0_axis:m1_axis"
    assert values["BUSIFPARAM_VALUE.S0_AXIS.TDATA_NUM_BYTES"] == "3"
    assert values["BUSIFPARAM_VALUE.ARESETN.POLARITY"] == "ACTIVE_LOW"


def test_the_order_of_elements_is_the_schemas() -> None:
    root = fromstring(component(describe_rtl(pipelines(1)), "x"))
    order = ["vendor", "library", "name", "version", "busInterfaces", "model", "fileSets", "description"]
    assert [e.tag for e in root] == [*(S + name for name in order), f"{S}vendorExtensions"]


def test_the_package_has_the_files_that_it_names(tmp_path: Path, capsys) -> None:
    build = make_build(tmp_path / "build", make_texts())
    manifest = json.loads((build / "manifest.json").read_text())
    manifest["rtl"] = describe_rtl(pipelines(1))
    (build / "manifest.json").write_text(json.dumps(manifest))
    assert main(["bitstream", str(build), "--ip"]) == 0
    assert "codesign:hw:accelerator:1.0" in capsys.readouterr().out
    root = fromstring((build / "ip" / "component.xml").read_text())
    named = {f.findtext(f"{S}name") for f in root.iter(f"{S}file")}
    assert named == {"rtl/accelerator.v"} and (build / "ip" / "rtl" / "accelerator.v").exists()
    references = {e.text for e in root.iter(f"{S}localName")}
    assert references == {s.findtext(f"{S}name") for s in root.iter(f"{S}fileSet")}
