"""Mixed precision: what each format adds to the error and takes of the circuit, and what a budget makes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from boards import board_named
from codesign.cost import Budget, Cost, Target, limited
from codesign.errors import CheckFailed, UserError
from codesign.graph import Graph
from codesign.quantize import STEPS, apply
from codesign.quantize.candidates import Candidates, Sensitivity, candidates, measure, output_error
from codesign.quantize.knobs import ACTIVATIONS, WEIGHTS, knobs_of, precision_for, precision_text
from codesign.quantize.mixed import Search, quantize_mixed
from codesign.quantize.precision import precision_of, read_precision
from codesign.quantize.prepare import Prepared, canonical, prepare
from codesign.quantize.regions import Price, RegionCosts
from hw.cost import cost_of
from tests.quantize_graphs import NETWORKS, residual, samples, sequential

BOARD = board_named("pynq-z2")
TARGET = BOARD.target(100e6, 500_000.0)
PRICE = Price(cost_of, TARGET)


def quiet(_: str) -> None:
    pass


def prepared(graph: Graph) -> Prepared:
    return prepare(*canonical(graph), samples(graph), STEPS, quiet)


@pytest.fixture(scope="module")
def given() -> Candidates:
    return candidates(prepared(sequential()), "mse", STEPS, quiet)


@pytest.fixture(scope="module")
def sensitivity(given) -> Sensitivity:
    return measure(given, quiet)


def test_layers_whose_results_share_a_scale_share_a_knob():
    found = prepared(residual())
    knobs = knobs_of(found)
    assert [k.labels for k in knobs if k.kind == "weights"] == [(layer.label,) for layer in found.layers]
    shared = [set(k.layers) for k in knobs if k.kind == "activations"]
    for point in found.points:
        assert sum(set(point.layers) <= group for group in shared) == (any(point.layers))
    assert max(map(len, shared)) > 1


def test_a_setting_is_a_precision_file_that_means_it(tmp_path):
    found = prepared(sequential())
    setting = {k: n % 3 for n, k in enumerate(knobs_of(found))}
    path = tmp_path / "p.yaml"
    path.write_text(precision_text(found, setting))
    for knob, i in setting.items():
        for label in knob.labels:
            rule = read_precision(str(path)).rule_for(label)
            assert (rule.weights if knob.kind == "weights" else rule.activations).name == knob.options[i]


def test_labels_of_a_file_are_no_patterns():
    found = prepared(sequential())
    starred = replace(found, layers=tuple(replace(k, label=f"{k.label}[*]?") for k in found.layers))
    text = precision_text(starred, dict.fromkeys(knobs_of(starred), 1))
    precision_of("p", text).check_used(layer.label for layer in starred.layers)


def test_narrower_formats_add_error_and_errors_add_up(given, sensitivity):
    assert 0 < sensitivity.floor < 1e-2
    for errors in sensitivity.added.values():
        assert errors[0] == 0 and errors[5] > errors[3] > errors[1] >= 0
    setting = {k: 2 for k in given.knobs}
    found = apply(given.found, precision_for(given.found, setting), "mse", STEPS, quiet)
    true = output_error(given.found.real, found.graph, given.found.samples)
    assert 0.25 < sensitivity.error(setting) / true < 4


def test_sensitivity_is_that_of_the_whole_network_with_one_knob_turned(given, sensitivity):
    found = given.found
    for knob in given.knobs:
        graph = given.graph({**given.widest, knob: 3})
        alone = output_error(found.real, graph, found.samples)
        assert alone - sensitivity.floor == pytest.approx(sensitivity.added[knob][3], rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("network", NETWORKS)
def test_regions_cost_what_the_whole_costs_but_for_what_joins_them(network):
    given = candidates(prepared(network()), "mse", ("bias",), quiet)
    price = replace(PRICE, off=("horizontal", "joins"))  # which join layers of several regions
    regions = RegionCosts(given, price, quiet)
    for level in (0, 3):
        setting = dict.fromkeys(given.knobs, level)
        whole, parts = price.of(given.graph(setting)), regions.cost(setting)
        assert whole.bram36 == pytest.approx(parts.bram36)
        shares = [
            c.lut / BOARD.budget.lut + c.dsp / BOARD.budget.dsp for c in (whole, parts)
        ]  # each can stand for the other
        assert abs(shares[0] - shares[1]) < 0.25 * shares[0]
    touched = {k for r in regions.regions for k in r.knobs}
    assert touched == set(given.knobs)


def test_a_region_is_costed_once_for_each_of_its_settings(given):
    asked: list[Graph] = []

    def model(graph: Graph, target: Target) -> Cost:
        asked.append(graph)
        return Cost(lut=1.0)

    regions = RegionCosts(given, Price(model, TARGET), quiet)
    first = regions.cost(given.widest)
    count = len(asked)
    assert regions.cost(given.widest) == first and len(asked) == count == first.lut
    knob = next(k for k in given.knobs if k.kind == "weights")
    regions.cost({**given.widest, knob: 1})
    assert len(asked) == count + 1


def uniform(found: Prepared, name: str) -> tuple[Cost, float]:
    result = apply(found, read_precision(name), "mse", STEPS, quiet)
    return PRICE.of(result.graph), output_error(found.real, result.graph, found.samples)


def test_mixed_precision_errs_no_more_than_the_uniform_one_that_costs_as_much():
    found = prepared(sequential())
    cost, error = uniform(found, "w4a4")
    budget = replace(BOARD.budget, lut=int(cost.lut) + 1)
    price = Price(cost_of, replace(TARGET, budget=budget))
    result, mixed = quantize_mixed(sequential(), samples(sequential()), price, "mse", STEPS, quiet)
    assert not budget.exceeded_by(mixed.cost) and mixed.cost == price.of(result.graph)
    assert mixed.measured_error <= error
    again = apply(found, precision_of("p", mixed.text), "mse", STEPS, quiet)
    assert str(again.graph) == str(result.graph)


def test_where_everything_fits_everything_is_as_wide_as_it_gets():
    _, mixed = quantize_mixed(residual(), samples(residual()), PRICE, "mse", STEPS, quiet)
    assert {i for _, _, i in mixed.knobs} == {0}


def test_what_binds_is_named_where_nothing_fits():
    price = Price(cost_of, replace(TARGET, budget=replace(BOARD.budget, lut=50)))
    with pytest.raises(CheckFailed, match=r"LUT binds, [\d.]+ of 50") as e:
        quantize_mixed(sequential(), samples(sequential()), price, "mse", STEPS, quiet)
    assert "\n" not in str(e.value)


def test_the_search_goes_up_again_where_room_is_left(given, sensitivity):
    """One step down may win more than was needed: here the first layer's weights cost most, in steps of 10."""
    first = given.knobs[0]

    class Stairs(RegionCosts):
        def cost(self, setting):
            return Cost(lut=100.0 - 10 * setting[first] - sum(i for k, i in setting.items() if k != first))

    search = Search(Stairs(given, PRICE, quiet), sensitivity, Budget(lut=95, ff=1, dsp=1, bram36=1))
    setting = search.best(given.widest)
    assert search._cost(setting).lut <= 95
    for knob, i in setting.items():
        for wider in range(i):
            assert (
                search._cost({**setting, knob: wider}).lut > 95
                or sensitivity.added[knob][wider] >= (sensitivity.added[knob][i])
            )


def test_budgets():
    assert limited(BOARD.budget, "lut=20000, bram36=40") == replace(BOARD.budget, lut=20000, bram36=40)
    for text in ("lut", "lut=", "luts=5", "lut=-1", "lut=5,lut=6", "lut=1.5", ""):
        with pytest.raises(UserError, match="of the form lut=20000,bram36=40; names are lut, ff, dsp, bram36"):
            limited(BOARD.budget, text)
    with pytest.raises(UserError, match="the board leaves 37240 LUT"):
        limited(BOARD.budget, "lut=50000")


def test_the_widest_formats_come_first():
    for options in (WEIGHTS, ACTIVATIONS):
        bits = [int(name.lstrip("uint")) for name in options]
        assert bits == sorted(bits, reverse=True)
    assert np.isfinite(output_error(sequential(), sequential(), samples(sequential())))
