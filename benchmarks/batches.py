"""Many stages in one Yosys run, each kept apart from the others: reading its libraries takes most of a small run."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from amaranth.back import rtlil

from codesign.cache import cache_folder
from hw.netlist.circuit import Modules
from hw.pipeline import Stage
from hw.synth import Utilisation, cells_of, synthesis, utilisation
from hw.yosys import run_yosys, verilog_from_rtlil, yosys_version

COMMAND = synthesis("batch")
SIZE = 8  # stages a run


def synthesized(stages: Sequence[Stage], told: Callable[[str], None] = lambda text: None) -> list[Utilisation]:
    """Of each stage with its ports as those of a chip; the netlists are kept by content."""
    texts = [_texts(stage) for stage in stages]
    missing = [pair for pair in dict(zip(map(_kept, texts), texts, strict=True)).items() if not pair[0].exists()]
    for start in range(0, len(missing), SIZE):
        some = missing[start : start + SIZE]
        for (path, _), blif in zip(some, _run([text for _, text in some]), strict=True):
            path.write_bytes(gzip.compress(blif.encode(), 6))
        told(f"{start + len(some)} of {len(missing)} stages synthesized")
    return [utilisation(cells_of(gzip.decompress(_kept(text).read_bytes()).decode()), COMMAND) for text in texts]


Texts = tuple[str, tuple[tuple[str, str], ...]]  # RTLIL whose modules are named NAME.., and netlists as Verilog by name
NAME = "stage_to_count"


def _texts(stage: Stage) -> Texts:
    netlists = Modules()
    text = rtlil.convert(stage.rtl(), name=NAME, platform=netlists, emit_src=False)
    return text, tuple(sorted(netlists.texts.items()))


def _kept(texts: Texts) -> Path:
    """Where the mapped netlist lies."""
    parts = repr((texts, COMMAND, yosys_version()))
    return cache_folder("stages") / f"{hashlib.sha256(parts.encode()).hexdigest()}.blif.gz"


def _run(texts: Sequence[Texts]) -> list[str]:
    """The mapped netlist of each, as BLIF."""
    names = [f"stage{k}" for k in range(len(texts))]
    parts = [verilog_from_rtlil("\n".join(_renamed(t[0], name) for t, name in zip(texts, names, strict=True)))]
    parts += dict(pair for _, netlists in texts for pair in netlists).values()
    parts.append(f"module batch; {' '.join(f'{name} u_{name}();' for name in names)} endmodule")
    apart = "\n".join(f"setattr -mod -set keep_hierarchy 1 {n}\nsetattr -mod -set keep 1 {n}" for n in names)
    script = f"read_verilog design.v\n{apart}\n{COMMAND}\nopt_clean\nwrite_blif design.blif\n"
    _, written = run_yosys(script, {"design.v": "\n".join(parts)}, ["design.blif"])
    models = dict(_models(written["design.blif"]))
    return [models[name] for name in names]


def _renamed(text: str, name: str) -> str:
    """Its modules under another name, without what only one file may say."""
    return re.sub(r"(?m)^autoidx .*$", "", text).replace(NAME, name)


def _models(blif: str) -> Iterator[tuple[str, str]]:
    """The name and text of every module."""
    for part in blif.split(".model ")[1:]:
        yield part.split(None, 1)[0], part
