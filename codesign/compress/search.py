"""The search for a recipe within a budget: for each layer a rank, a sparsity and a width, by Optuna.

Two aims at once: few points of accuracy lost on the samples of selection, and little of the scarcest resource used.
A study is kept in a data base; several processes may work on one that a server keeps (`--study postgresql://...`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codesign.compress.limits import Limits
from codesign.compress.recipe import recipe_of
from codesign.compress.step import Data, Product, Step, products, rounded
from codesign.compress.storing import literal
from codesign.cost import Figures
from codesign.errors import CheckFailed, UserError
from codesign.graph import Graph

WIDTHS = (8, 7, 6, 5, 4, 3, 2)
SPARSITIES = (0.0, 0.25, 0.5, 0.625, 0.75, 0.875)
ENERGIES = (1.0, 0.98, 0.95, 0.9, 0.8)  # 1.0: left whole
FACTORIZED = ("@conv", "@fc", "@pointwise")
LEAST_WEIGHTS = 256  # of a layer that is worth a factorization


@dataclass(frozen=True)
class Measured:
    """A network within the search: points of accuracy lost on the samples of selection, and its hardware."""

    drop: float
    figures: Figures


@dataclass(frozen=True)
class Found:
    """A trial: its recipe, what was measured, the share of the scarcest resource, whether it is on the front."""

    number: int
    recipe: tuple[dict[str, Any], ...]
    measured: Measured
    use: float
    is_best: bool


Measure = Callable[[Graph], Measured]


@dataclass(frozen=True)
class Space:
    """What may be chosen for a network's layers."""

    layers: tuple[Product, ...]

    @classmethod
    def of(cls, graph: Graph) -> Space:
        return cls(products(graph))

    def recipe(self, choose: Callable[[str, Sequence[float]], float]) -> list[dict[str, Any]]:
        """The entries of a recipe; `choose(name, options)` gives one of the options."""
        factors, zeros, widths = [], [], []
        for p in self.layers:
            layer = {"layers": literal(p.label)}
            if self.factorizes(p) and (energy := choose(f"energy {p.label}", ENERGIES)) < 1:
                factors.append({"svd": {**layer, "energy": energy}})
                layer = {"layers": f"{layer['layers']}*"}
            elif sparsity := choose(f"sparsity {p.label}", SPARSITIES):
                zeros.append({"blocks": {**layer, "sparsity": sparsity}})
            width = int(choose(f"width {p.label}", WIDTHS))
            if width < WIDTHS[0]:
                widths.append({"quantize": {**layer, "weights": f"int{width}"}})
        return [*factors, *zeros, *widths]

    def factorizes(self, p: Product) -> bool:
        """Whether a low rank is tried: the parts have the layer's name in front of theirs, which no other may have."""
        alone = sum(q.label.startswith(p.label) for q in self.layers) == 1
        return alone and p.kind in FACTORIZED and p.value.size >= LEAST_WEIGHTS


def applied(graph: Graph, entries: Sequence[dict[str, Any]], data: Data | None) -> Graph:
    """The network after the steps of a recipe (which may be none)."""
    steps: Sequence[Step] = recipe_of(entries) if entries else ()
    for step in steps:
        graph = rounded(step.apply(graph, data)[0])
    return graph


def search(
    graph: Graph, data: Data, limits: Limits, measure: Measure, storage: str, name: str, trials: int, seed: int,
    progress: Callable[[str], None],
) -> list[Found]:  # fmt: skip
    """As many more trials in a study, and all that it holds then; CheckFailed where none could be built."""
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=12)
    study = _study(optuna, storage, name, sampler)
    space = Space.of(graph)
    if not study.trials:
        for start in _starts(space):
            study.enqueue_trial(start)

    def objective(trial: Any) -> tuple[float, float]:
        progress(f"trial {trial.number + 1}")
        entries = space.recipe(lambda what, options: trial.suggest_categorical(what, options))
        try:
            found = measure(applied(graph, entries, data))
        except (UserError, CheckFailed) as e:
            raise optuna.TrialPruned(str(e)) from None
        use = limits.use(found.figures)
        trial.set_user_attr("recipe", entries)
        trial.set_user_attr("figures", vars(found.figures))
        _constrain(trial, {"budget": use - 1, "accuracy": found.drop - limits.accuracy_drop})
        return found.drop, use

    study.optimize(objective, n_trials=trials)
    return _found(study)


def winner(found: Sequence[Found], limits: Limits) -> Found:
    """Of those within the budget the one that uses least; CheckFailed says how near the others came."""
    within = [f for f in found if f.use <= 1 and f.measured.drop <= limits.accuracy_drop]
    if within:
        return min(within, key=lambda f: (f.use, f.measured.drop))
    if not found:
        raise CheckFailed("none of the networks that were tried can be built")
    fitting = [f for f in found if f.use <= 1]
    near = min(fitting or found, key=lambda f: f.measured.drop if fitting else f.use)
    raise CheckFailed(
        f"of {len(found)} networks tried none is within the budget; the nearest loses {near.measured.drop:.2f} points "
        f"with {near.use:.0%} of the {limits.binding(near.measured.figures).upper()}; allow more, or more --trials"
    )


def _starts(space: Space) -> list[dict[str, float]]:
    """The network as it is; all layers at some widths and sparsities alike."""
    return [_alike(space, w, s) for w, s in ((8, 0.0), (6, 0.0), (4, 0.0), (8, 0.5), (6, 0.5))]


def _alike(space: Space, width: int, sparsity: float) -> dict[str, float]:
    """What is chosen where all layers are whole and have one width and sparsity."""
    chosen: dict[str, float] = {}

    def choose(what: str, options: Sequence[float]) -> float:
        kind = what.split(" ")[0]
        chosen[what] = {"energy": 1.0, "sparsity": sparsity, "width": width}[kind]
        return chosen[what]

    space.recipe(choose)
    return chosen


def _constrain(trial: Any, over: Mapping[str, float]) -> None:
    """Prefer what is within the budget; Optuna 4 has no such method, and searches without."""
    if hasattr(trial, "set_constraint"):
        for name, value in over.items():
            trial.set_constraint(name, value)


def _found(study: Any) -> list[Found]:
    done = [t for t in study.trials if t.values is not None and "figures" in t.user_attrs]
    front = _front([(t.values[0], t.values[1]) for t in done])
    return [
        Found(
            t.number,
            tuple(t.user_attrs["recipe"]),
            Measured(t.values[0], Figures(**t.user_attrs["figures"])),
            t.values[1],
            b,
        )
        for t, b in zip(done, front)
    ]


def _front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Whether no other point is at least as good in both and better in one."""
    return [not any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in points) for p in points]


def _study(optuna: Any, storage: str, name: str, sampler: Any) -> Any:
    try:
        return optuna.create_study(
            storage=storage, study_name=name, sampler=sampler, load_if_exists=True, directions=["minimize", "minimize"]
        )
    except Exception as e:  # whatever the data base's driver raises, the user's remedy is the same
        reason = (str(e) or type(e).__name__).splitlines()[0]
        raise UserError(f"--study {storage} cannot be used: {reason}; give a URL as in sqlite:///search.db") from None


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise UserError(
            "the search needs optuna; install codesign with its extra: pip install 'codesign[compress]'"
        ) from None
    return optuna
