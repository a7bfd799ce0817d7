"""Hyper-parameter search with Optuna: pruned, resumable, judged on held-out interactions only."""

from __future__ import annotations

from collections.abc import Callable

from . import _penchant
from .estimators import ImplicitALS
from .evaluation import evaluate
from .factor_model import FactorModel
from .interactions import Interactions

# How far around what the loss and the data decide a parameter is searched: by this factor both
# ways, or between two values.
_RANGES = {
    "als": {
        "regularization": 30.0,
        "unobserved_weight": 30.0,
        "regularization_power": (0.0, 1.0),
        "alpha": 30.0,
    },
    "ranking": {
        "learning_rate": 4.0,
        "regularization": 30.0,
        "negative_samples": 4.0,
        "margin": (0.3, 0.98),
        "negative_weight": 5.0,
        "dropout": (0.0, 0.3),
    },
    "item2vec": {
        "learning_rate": 4.0,
        "negative_samples": 4.0,
        "negative_power": (0.0, 1.0),
        "window": 3.0,
    },
    "popularity": {},
}


def default_space(estimator: FactorModel, interactions: Interactions) -> Callable:
    """The default search space of an estimator, around what its config and the data decide."""
    text = _penchant.resolve_config(estimator._config_text(), interactions._core)
    fields = _penchant.config_fields(text)
    start = fields["parameters"]

    def space(trial) -> dict:
        chosen = {}
        for name, reach in _RANGES[fields["algorithm"]].items():
            value = start[name]
            if isinstance(reach, tuple) and value is not None:
                chosen[name] = trial.suggest_float(name, *reach)
            elif isinstance(value, int):
                low, high = max(1, round(value / reach)), round(value * reach)
                chosen[name] = trial.suggest_int(name, low, high, log=True)
            elif value:
                chosen[name] = trial.suggest_float(name, value / reach, value * reach, log=True)
        return chosen

    return space


def tune(
    interactions: Interactions,
    validation: Interactions | None = None,
    *,
    estimator: FactorModel | None = None,
    space: Callable | None = None,
    metric: str = "ndcg@20",
    trials: int = 30,
    validation_fraction: float = 0.1,
    storage: str | None = None,
    study_name: str = "penchant",
    seed: int = 0,
    show_progress: bool = True,
):
    """Search for parameters that do best on held-out interactions.

    Parameters
    ----------
    interactions : Interactions
        Training data.
    validation : Interactions, optional
        Held-out data with the same dictionaries; by default ``validation_fraction`` of the pairs
        at random.
    estimator : estimator, optional
        Fixed parameters are taken from it; `ImplicitALS` by default.
    space : callable, optional
        ``space(trial) -> dict`` of parameters; `default_space` by default.
    metric : str
        NAME@K, maximized. `ImplicitALS` is judged after every iteration, and trials that fall
        behind are pruned; models whose epochs follow a schedule are judged at their end.
    trials : int
        Finished trials wanted in all; a study resumed from ``storage`` counts those it has.
    storage : str, optional
        Optuna storage URL, e.g. "sqlite:///study.db": stop at any time and call again.

    Returns
    -------
    optuna.study.Study
        ``study.best_params`` and ``study.best_value``; iterations of the best trial are in
        ``study.best_trial.user_attrs["iterations"]``.
    """
    try:
        import optuna
    except ImportError as error:
        raise ImportError("tune needs Optuna: pip install 'penchant[tune]'") from error

    cutoff = metric.partition("@")[2]
    if not cutoff.isdigit():
        raise ValueError(f'metric must look like "ndcg@20"; got {metric!r}')
    if validation is None:
        train, validation = interactions.split_random(validation_fraction, seed)
    else:
        train = interactions
    base = estimator if estimator is not None else ImplicitALS()
    choose = space or default_space(base, train)

    def objective(trial):
        model = type(base)(**{**base.get_params(), **choose(trial)})
        best = {"value": -1.0, "iterations": 0}
        # Each iteration goes on from the last one, so that it can be judged in between.
        previous = None
        for iteration in range(1, base.get_params().get("iterations", 1) + 1):
            step = type(base)(**{**model.get_params(), **_one_iteration(model)})
            step.fit(train, show_progress=False, warm_start=previous)
            value = evaluate(step, validation, train, k=int(cutoff))[metric]
            if value > best["value"]:
                best = {"value": value, "iterations": iteration}
            trial.report(value, iteration)
            if trial.should_prune():
                raise optuna.TrialPruned()
            previous = step
        trial.set_user_attr("iterations", best["iterations"])
        return best["value"]

    if not show_progress:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=study_name,
        storage=storage,
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
    )
    finished = [t for t in study.trials if t.state.is_finished()]
    if len(finished) < trials:
        study.optimize(objective, n_trials=trials - len(finished))
    return study


def _one_iteration(model) -> dict:
    return {"iterations": 1} if "iterations" in model.get_params() else {}
