"""The search for a recipe within a budget: what it writes, and what it says where nothing fits."""

from __future__ import annotations

import json

import numpy as np
import pytest

from codesign.cli import main
from codesign.compress.limits import read_limits
from codesign.compress.recipe import read_recipe
from codesign.compress.search import Found, Measured, Space, winner
from codesign.cost import Figures
from codesign.errors import CheckFailed, UserError
from codesign.importer import import_model
from tests.models import Model

BOARD = {"lut": 37_240, "ff": 63_840, "dsp": 209, "bram36": 126}


@pytest.fixture(scope="module")
def mlp(tmp_path_factory):
    """12 -> 8 -> 4, with samples beside it."""
    folder, rng = tmp_path_factory.mktemp("mlp"), np.random.default_rng(1)
    m = Model(1, 12)
    h = m.add(
        "Relu", m.add("Gemm", "x", m.constant(rng.normal(size=(12, 8))), m.constant(rng.normal(size=8)), name="fc1")
    )
    y = m.add("Gemm", h, m.constant(rng.normal(size=(8, 4))), m.constant(rng.normal(size=4)), name="fc2")
    np.save(folder / "x.npy", rng.normal(size=(64, 12)).astype(np.float32))
    return m.save(folder / "m.onnx", y), folder / "x.npy"


def searched(mlp, folder, budget: str, trials: int) -> int:
    argv = [
        "compress",
        mlp[0],
        "-o",
        folder / "y.onnx",
        "--budget",
        budget,
        "--calibration",
        mlp[1],
        "--trials",
        trials,
    ]
    return main([str(a) for a in [*argv, "--json"]])


def test_the_recipe_that_won_is_written_with_the_front_and_the_study_goes_on(mlp, tmp_path, capsys):
    assert searched(mlp, tmp_path, "lut=3000,fps=1000,accuracy-drop=40", 4) == 0
    first = json.loads(capsys.readouterr().out)
    assert len(first["trials"]) == 4 and sum(t["won"] for t in first["trials"]) == 1
    won = next(t for t in first["trials"] if t["won"])
    assert won["use"] <= 1 and won["use"] == min(t["use"] for t in first["trials"] if t["accuracy_drop"] <= 40)
    assert won["figures"] == first["steps"][-1]["hardware"]["figures"]
    if won["recipe"]:
        assert [s.name for s in read_recipe(tmp_path / "y.recipe.yaml")] == [next(iter(e)) for e in won["recipe"]]
    assert (tmp_path / "y.pareto.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads((tmp_path / "y.pareto.json").read_text())["trials"] == first["trials"]
    assert "<img" in (tmp_path / "y.pareto.html").read_text()
    assert searched(mlp, tmp_path, "lut=3000,fps=1000,accuracy-drop=40", 1) == 0
    assert len(json.loads(capsys.readouterr().out)["trials"]) == 5


def test_a_budget_out_of_reach_says_how_near_it_came(mlp, tmp_path, capsys):
    assert searched(mlp, tmp_path, "lut=10,fps=1000,accuracy-drop=1", 2) == 1
    said = capsys.readouterr().err
    assert "of 2 networks tried none is within the budget" in said and "LUT" in said
    assert not (tmp_path / "y.onnx").exists() and (tmp_path / "y.pareto.html").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lut", "not of the form lut=40000; names are lut"),
        ("luts=3,accuracy-drop=1", "'luts=3' is not of the form"),
        ("lut=3,lut=4,accuracy-drop=1", "'lut=4' is not of the form"),
        ("lut=300", "says nothing of accuracy"),
        ("lut=90000,accuracy-drop=1", "the board leaves 37240"),
        ("fps=0,accuracy-drop=1", "fps must be above 0"),
    ],
)
def test_budgets_are_checked(text, words):
    with pytest.raises(UserError, match=words):
        read_limits(text, BOARD)


def test_without_resources_the_board_is_the_budget():
    limits = read_limits("accuracy-drop=1.5", BOARD)
    assert limits.resources == BOARD and limits.accuracy_drop == 1.5 and limits.fps is None
    figures = Figures(1, 1, 1, 0, 3724.0, 0.0, 209.0, 0.0)
    assert (limits.use(figures), limits.binding(figures)) == (1.0, "dsp")


def test_the_winner_uses_least_of_those_that_lose_little():
    def found(number: int, drop: float, use: float) -> Found:
        return Found(number, (), Measured(drop, Figures(1, 1, 1, 0, 1.0, 0.0, 0.0, 0.0)), use, False)

    limits = read_limits("lut=100,accuracy-drop=1", BOARD)
    assert winner([found(0, 0.0, 0.9), found(1, 1.0, 0.5), found(2, 1.1, 0.1), found(3, 0.0, 1.1)], limits).number == 1
    with pytest.raises(CheckFailed, match=r"the nearest loses 3.00 points with 50%"):
        winner([found(0, 3.0, 0.5), found(1, 0.0, 1.2)], limits)


def test_every_layer_has_its_own_choices(mlp):
    asked: list[str] = []
    Space.of(import_model(mlp[0]).graph).recipe(lambda what, options: asked.append(what) or options[-1])
    assert {"sparsity fc1", "width fc1", "sparsity fc2", "width fc2"} <= set(asked)


def test_options_of_a_search_need_one(mlp, tmp_path, capsys):
    (tmp_path / "r.yaml").write_text("steps: [csr]")
    base = ["compress", str(mlp[0]), "-o", str(tmp_path / "y.onnx")]
    assert main([*base, "--recipe", str(tmp_path / "r.yaml"), "--study", "sqlite:///a.db"]) == 2
    assert main([*base, "--recipe", str(tmp_path / "r.yaml"), "--budget", "accuracy-drop=1"]) == 2
    assert main([*base, "--budget", "accuracy-drop=1"]) == 2
    assert main(base) == 2
    study = ["--study", "nosuch://x", "--calibration", str(mlp[1])]
    assert main([*base, "--budget", "accuracy-drop=1", *study]) == 2
    said = capsys.readouterr().err
    for words in (
        "belong to a search",
        "leave --recipe out",
        "give some with --calibration",
        "--recipe says what to do",
    ):
        assert words in said
    assert "--study nosuch://x cannot be used" in said
