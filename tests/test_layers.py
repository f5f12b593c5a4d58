"""Structure that a newcomer can rely on: imports point one way, files stay short."""

import ast
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
LAYERS = ("codesign", "hw", "sim", "boards")
WHOLE_PATH = (
    "codesign/flow.py", "codesign/flow_compress.py", "codesign/flow_search.py", "codesign/flow_hls.py",
    "codesign/cli.py", "codesign/cli_board.py",
    "codesign/cli_measure.py",
)  # fmt: skip
LONGEST_FILE = 300
LONGER = {"boards/driver.py": 460}  # goes to a board as one file

MODULES = {
    path.relative_to(REPOSITORY).as_posix(): path.read_text()
    for layer in LAYERS
    for path in sorted((REPOSITORY / layer).rglob("*.py"))
}


def imported_packages(source: str) -> set[str]:
    """The top-level names that a module imports, inside functions too."""
    nodes = list(ast.walk(ast.parse(source)))
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return {name.split(".")[0] for name in plain | {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)}}


def test_imports_point_from_boards_to_sim_to_hw_to_codesign() -> None:
    backwards = [
        f"{module} imports {package}"
        for module, source in MODULES.items()
        for package in imported_packages(source) & set(LAYERS)
        if module not in WHOLE_PATH and LAYERS.index(package) > LAYERS.index(module.split("/")[0])
    ]
    assert MODULES and not backwards


def test_only_the_importer_and_the_exporter_know_onnx() -> None:
    knowing = {m for m, s in MODULES.items() if "onnx" in imported_packages(s)}
    assert {m.split("/")[1] for m in knowing} == {"importer", "exporter"}


def test_files_are_short() -> None:
    others = [path for folder in ("benchmarks", "examples", "tests") for path in (REPOSITORY / folder).glob("*.py")]
    sources = MODULES | {path.relative_to(REPOSITORY).as_posix(): path.read_text() for path in others}
    lengths = {module: len(source.splitlines()) for module, source in sources.items()}
    assert not {module: lines for module, lines in lengths.items() if lines > LONGER.get(module, LONGEST_FILE)}
