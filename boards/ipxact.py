"""The accelerator as IP for Vivado's catalogue (IEEE 1685-2009): AXI4-Stream ports for a block design of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, register_namespace, tostring

VENDOR, LIBRARY, VERSION = "codesign", "hw", "1.0"
FILE = "component.xml"
_SPIRIT, _XILINX = "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009", "http://www.xilinx.com"
_SIGNALS = ("tdata", "tvalid", "tready", "tlast")
_SETS = (("xilinx_anylanguagesynthesis", "synthesis"), ("xilinx_anylanguagebehavioralsimulation", "simulation"))

register_namespace("spirit", _SPIRIT)
register_namespace("xilinx", _XILINX)


def component(rtl: Mapping[str, Any], title: str) -> str:
    """component.xml for the manifest's section `rtl`; the files are named as they lie beside it."""
    root = Element(_q("component"))
    identifier = {"vendor": VENDOR, "library": LIBRARY, "name": rtl["top"], "version": VERSION}
    for tag, text in identifier.items():
        _text(root, tag, text)
    buses = SubElement(root, _q("busInterfaces"))
    for port in rtl["inputs"]:
        _stream(buses, port, "slave")
    for port in rtl["outputs"]:
        _stream(buses, port, "master")
    _clock_and_reset(buses, rtl)
    _model(root, rtl)
    _file_sets(root, rtl["files"])
    _text(root, "description", title)
    extensions = SubElement(SubElement(root, _q("vendorExtensions")), f"{{{_XILINX}}}coreExtensions")
    families = SubElement(extensions, f"{{{_XILINX}}}supportedFamilies")
    SubElement(families, f"{{{_XILINX}}}family", {f"{{{_XILINX}}}lifeCycle": "Production"}).text = "zynq"
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def package(rtl: Mapping[str, Any], title: str, texts: Mapping[str, str], folder: Path) -> list[str]:
    """Fill an empty folder that Vivado takes as an IP repository; the names of its files."""
    files = {FILE: component(rtl, title), **texts}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return list(files)


def _stream(buses: Element, port: Mapping[str, Any], side: str) -> None:
    bus = _bus(buses, port["port"], "axis", side)
    _port_maps(bus, {signal.upper(): f"{port['port']}_{signal}" for signal in _SIGNALS})
    _parameters(bus, port["port"], {"TDATA_NUM_BYTES": port["port_bits"] // 8, "HAS_TREADY": 1, "HAS_TLAST": 1})


def _clock_and_reset(buses: Element, rtl: Mapping[str, Any]) -> None:
    streams = ":".join(p["port"] for p in (*rtl["inputs"], *rtl["outputs"]))
    clock = _bus(buses, rtl["clock"], "clock", "slave", "signal")
    _port_maps(clock, {"CLK": rtl["clock"]})
    _parameters(clock, rtl["clock"], {"ASSOCIATED_BUSIF": streams, "ASSOCIATED_RESET": rtl["reset"]})
    reset = _bus(buses, rtl["reset"], "reset", "slave", "signal")
    _port_maps(reset, {"RST": rtl["reset"]})
    _parameters(reset, rtl["reset"], {"POLARITY": "ACTIVE_LOW"})


def _bus(buses: Element, name: str, kind: str, side: str, library: str = "interface") -> Element:
    bus = SubElement(buses, _q("busInterface"))
    _text(bus, "name", name)
    for tag, suffix in (("busType", ""), ("abstractionType", "_rtl")):
        names = {"vendor": "xilinx.com", "library": library, "name": kind + suffix, "version": "1.0"}
        SubElement(bus, _q(tag), {_q(k): v for k, v in names.items()})
    SubElement(bus, _q(side))
    return bus


def _port_maps(bus: Element, physical: Mapping[str, str]) -> None:
    maps = SubElement(bus, _q("portMaps"))
    for logical, name in physical.items():
        entry = SubElement(maps, _q("portMap"))
        _text(SubElement(entry, _q("logicalPort")), "name", logical)
        _text(SubElement(entry, _q("physicalPort")), "name", name)


def _parameters(bus: Element, name: str, values: Mapping[str, object]) -> None:
    listed = SubElement(bus, _q("parameters"))
    for key, value in values.items():
        entry = SubElement(listed, _q("parameter"))
        _text(entry, "name", key)
        _text(entry, "value", str(value)).set(_q("id"), f"BUSIFPARAM_VALUE.{name.upper()}.{key}")


def _model(root: Element, rtl: Mapping[str, Any]) -> None:
    model = SubElement(root, _q("model"))
    views = SubElement(model, _q("views"))
    for name, purpose in _SETS:
        view = SubElement(views, _q("view"))
        _text(view, "name", name)
        _text(view, "envIdentifier", f":vivado.xilinx.com:{purpose}")
        _text(view, "language", "verilog")
        _text(view, "modelName", rtl["top"])
        _text(SubElement(view, _q("fileSetRef")), "localName", f"{name}_view_fileset")
    ports = SubElement(model, _q("ports"))
    for name, direction, bits in _pins(rtl):
        _pin(ports, name, direction, bits)


def _pins(rtl: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Name, direction and width of every port; one bit is no vector, but data is."""
    pins = [(rtl["clock"], "in", 1), (rtl["reset"], "in", 1)]
    for side, (forth, back) in (("inputs", ("in", "out")), ("outputs", ("out", "in"))):
        for p in rtl[side]:
            for signal in _SIGNALS:
                bits = p["port_bits"] if signal == "tdata" else 1
                pins.append((f"{p['port']}_{signal}", back if signal == "tready" else forth, bits))
    return pins


def _pin(ports: Element, name: str, direction: str, bits: int) -> None:
    port = SubElement(ports, _q("port"))
    _text(port, "name", name)
    wire = SubElement(port, _q("wire"))
    _text(wire, "direction", direction)
    if bits > 1:
        vector = SubElement(wire, _q("vector"))
        _text(vector, "left", str(bits - 1))
        _text(vector, "right", "0")


def _file_sets(root: Element, files: Sequence[str]) -> None:
    sets = SubElement(root, _q("fileSets"))
    for name, _ in _SETS:
        entry = SubElement(sets, _q("fileSet"))
        _text(entry, "name", f"{name}_view_fileset")
        for path in files:
            file = SubElement(entry, _q("file"))
            _text(file, "name", path)
            _text(file, "fileType", "verilogSource")


def _text(parent: Element, tag: str, text: str) -> Element:
    entry = SubElement(parent, _q(tag))
    entry.text = text
    return entry


def _q(tag: str) -> str:
    return f"{{{_SPIRIT}}}{tag}"
