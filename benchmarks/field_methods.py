"""The field's methods beside the seconds that the R peers took, single fits and bootstraps.

The peers' CPU seconds are those stored with the fixtures (R 4.2, one thread, another day of the
same kind of machine); glmnet itself is timed here and now where Rscript and glmnet are installed.
compat="r" runs the release's own stop rule. One core, one thread; the bootstrap on two devices.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import ONE_THREAD, ROOT, goal, in_child, last_core, write

FIXTURES = ROOT / "tests" / "reference"
# (method, options as JSON, stored call, data sets)
FITS: list[tuple[str, dict[str, Any], str, tuple[str, ...]]] = [
    ("hima", {"compat": "r"}, "HIMA_classic", ("lin", "gA100", "gA500", "mx400")),
    ("hima", {}, "HIMA_classic", ("gA500",)),
    ("guo", {}, "", ("gA100", "gA500")),
    ("ehima", {"compat": "r"}, "HIMA_efficient", ("gA100", "gA500")),
    ("hdma", {"compat": "r"}, "hdmed_hdma", ("gA100",)),
    ("hdma", {"compat": "r", "n_include": 60}, "hdmed_hdma_top60", ("gA500",)),
    ("hima2", {"compat": "r", "n_include": 60}, "HIMA_dblasso_top60_all", ("gA100",)),
    ("pcma", {"compat": "r"}, "hdmed_pcma", ("gA100",)),
    ("spcma", {"compat": "r"}, "hdmed_spcma", ("gA100",)),
    ("pathway_lasso", {"compat": "r", "selection": "none"}, "hdmed_plasso", ("gA100",)),
    ("medfix", {"compat": "r"}, "hdmed_medfix", ("gA100",)),
    ("medfix", {"compat": "r", "nlambda2": 0}, "hdmed_medfix_lasso", ("gA100", "gA500")),
    ("hilma", {"compat": "r"}, "hdmed_hilma", ("gA100", "gA500")),
    ("hilma", {}, "hdmed_hilma", ("gA100",)),
    ("plsem", {"tensor": True}, "", ("gA500",)),
    ("ols", {}, "", ("gA500",)),
    ("double_selection", {"nodewise": False}, "", ("gA500",)),
    ("double_selection", {"nodewise": False, "penalty": "zz"}, "", ("gA500",)),
]


def load(alias: str) -> Any:
    """One stored data set."""
    from jaxmed.data.mediation_data import MediationData

    with np.load(FIXTURES / alias / "data.npz") as stored:
        exposure = stored["A"].ravel()
        x = stored["X"] if "X" in stored.files else np.zeros((len(exposure), 0))
        return MediationData(exposure, stored["M"], stored["Y"].ravel(), x)


def single(method: str, options: dict[str, Any], alias: str) -> dict[str, Any]:
    """Compile, first and warm seconds of one fit, everything it returns included."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from jaxmed import estimators

    data = jax.tree.map(jax.numpy.asarray, load(alias))
    estimator = getattr(estimators, method)(**options)
    key = jax.random.key(0)
    start = time.perf_counter()
    program = jax.jit(estimator).lower(key, data).compile()
    compiled = time.perf_counter() - start
    found, times = None, []
    while len(times) < 3 or (sum(times) < 3 and len(times) < 30):
        start = time.perf_counter()
        found = jax.block_until_ready(program(key, data))
        times.append(time.perf_counter() - start)
    assert found is not None
    return {
        "compile_s": compiled,
        "first_s": times[0],
        "warm_s": float(np.min(times[1:])),
        "repeats": len(times) - 1,
        "selected": int(found.selected.sum()),
        "indirect": float(found.effects.indirect),
        "status": int(found.status),
    }


def bootstrap_hima(resamples: int, devices: int) -> dict[str, float]:
    """Seconds of a whole-pipeline bootstrap of HIMA at (1000, 500), compiled before."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from jaxmed import estimators
    from jaxmed.sweeps import bootstrap

    data = load("gA500")
    run: Callable[..., Any] = functools.partial(
        bootstrap,
        jax.random.key(0),
        data,
        estimators.hima(compat="r"),
        weights="multinomial",
        chunk=10,
        mesh=jax.devices()[:devices],
        intervals=("percentile",),
    )
    run(10 * devices)
    start = time.perf_counter()
    found = run(resamples)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "per_fit_s": seconds / resamples,
        "resamples": resamples,
        "devices": devices,
        "failed": found["indirect"].missing,
        "indirect_sd": found["indirect"].standard_error,
    }


def nodewise_glmnet(n_include: int) -> dict[str, Any]:
    """glmnet's own seconds for the node-wise step on the columns that HDMA uses."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return {"reason": "Rscript is not installed"}
    data = load("gA100")
    columns = np.column_stack([data.mediators[:, :n_include], data.exposure, data.covariates])
    columns = (columns - columns.mean(0)) / columns.std(0, ddof=1)
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(np.asfortranarray(columns).tobytes(order="F"))
        file.flush()
        script = str(Path(__file__).with_name("nodewise.R"))
        call = [rscript, script, file.name, *map(str, columns.shape)]
        done = subprocess.run(
            ["taskset", "-c", str(last_core()), *call],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **ONE_THREAD},
        )
    if done.returncode:
        return {"reason": done.stderr[-500:]}
    return json.loads(done.stdout.splitlines()[-1])


def main(out: Path) -> None:
    fits: list[dict[str, Any]] = []
    goals: list[dict[str, Any]] = []
    for method, options, call, aliases in FITS:
        for alias in aliases:
            row: dict[str, Any] = {"method": method, "options": options, "data": alias}
            row |= in_child(
                "field_methods",
                "single",
                core=last_core(),
                method=method,
                options=options,
                alias=alias,
            )
            if call:
                record = json.loads((FIXTURES / alias / f"{call}.json").read_text())
                row["peer"] = f"{record['package']} {record['version']} {record['fun']}"
                row["peer_cpu_s"] = record["cpu_s"]
                row["ratio"] = record["cpu_s"] / row["warm_s"]
                goals.append(
                    goal(
                        f"{method} {options} on {alias}: peer's CPU seconds / our warm seconds",
                        row["ratio"],
                        at_least=1.0,
                    )
                )
            fits.append(row)
            print({k: v for k, v in row.items() if k != "peer"}, file=sys.stderr, flush=True)
    two = ONE_THREAD | {
        "XLA_FLAGS": ONE_THREAD["XLA_FLAGS"] + " --xla_force_host_platform_device_count=2"
    }
    boot = in_child("field_methods", "bootstrap_hima", env=two, resamples=200, devices=2)
    peer = json.loads((FIXTURES / "gA500" / "HIMA_classic.json").read_text())["cpu_s"]
    goals.append(
        goal(
            "bootstrap of HIMA at (1000, 500), two cores: peer's CPU seconds of a fit / ours",
            peer / boot["per_fit_s"],
            at_least=5.0,
        )
    )
    glmnet = nodewise_glmnet(100)
    ours = next(r for r in fits if r["method"] == "hdma" and r["data"] == "gA100")
    if "paths_s" in glmnet:
        total = glmnet["paths_s"] + glmnet["cross_validation_s"]
        goals.append(
            goal(
                "node-wise step at (1000, 103): glmnet here and now / our whole HDMA",
                total / ours["warm_s"],
                at_least=1.0,
            )
        )
    write("field_methods", goals, fits, out, bootstrap=boot, glmnet=glmnet)
