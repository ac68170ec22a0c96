"""Divergences of near-equal members of exponential families: qed beside NumPyro and PyTorch, in one run.

`python -m benchmarks.kl` prints for each family and distance the relative error of each tool, and whether its number is
negative; it writes benchmarks/results/kl.json with versions. The reference is the difference of log-normalisers with
2,000 bits. NumPyro and PyTorch run in float64 where they import; "none" says that they have no such divergence, a dash
that they are not installed.
"""

from __future__ import annotations

import importlib
import json
import platform
from pathlib import Path

import jax
import numpy as np

import qed
from qed.certificates.curvature_integral import by_bregman
from qed.domains.precision import precision

DISTANCES = (1.0, 1e-2, 1e-4, 1e-6, 1e-8)
MEMBERS = {
    "Normal": ((0.5, 1.5), (-3.0, 0.25)),
    "Gamma": ((2.0, 3.0), (0.5, 10.0)),
    "Exponential": ((1.5,), (0.01,)),
    "Beta": ((2.0, 3.0), (0.5, 0.75)),
    "Bernoulli": ((0.3,),),
    "Binomial": ((20, 0.3),),
    "Categorical": ((0.2, 0.3, 0.5),),
}
PROMISED = 1e-13
"""The largest relative error of qed."""


def moved(name, parameters, distance):
    """The member at a relative distance in all its parameters; probabilities stay probabilities."""
    if name == "Binomial":
        return parameters[0], parameters[1] * (1 + distance)
    if name == "Categorical":
        first = parameters[0] * (1 + distance)
        return first, parameters[1], 1.0 - first - parameters[1]
    return tuple(x * (1 + distance) for x in parameters)


def by_qed(name, parameters):
    if name == "Categorical":
        return qed.measures.Categorical(list(parameters))
    return getattr(qed.measures, name)(*parameters)


def truth(name, p, q):
    """The divergence with 2,000 bits: of the laws with atoms, of the same fractions that they are made of."""
    with precision(2000) as library:
        if name in ("Normal", "Gamma", "Exponential", "Beta"):
            return by_bregman((name, p), (name, q), 2000)
        pairs = zip(by_qed(name, p).atoms, by_qed(name, q).atoms, strict=True)
        total = library.arb(0)
        for (_, w), (_, v) in pairs:
            weight, ratio = (library.arb(library.fmpq(x.numerator, x.denominator)) for x in (w, w / v))
            total += weight * ratio.log()
        return total


def numpyro_value(name, p, q):
    laws = importlib.import_module("numpyro.distributions")
    make = {
        "Binomial": lambda n, p: laws.Binomial(n, probs=p),
        "Bernoulli": laws.BernoulliProbs,
        "Categorical": lambda *p: laws.CategoricalProbs(np.array(p)),
    }.get(name) or getattr(laws, name)
    with jax.enable_x64(True):
        first, second = (make(*(np.float64(x) if isinstance(x, float) else x for x in one)) for one in (p, q))
        return float(laws.kl_divergence(first, second))


def torch_value(name, p, q):
    torch = importlib.import_module("torch")
    laws = torch.distributions

    def made(parameters):
        numbers = [torch.tensor(x, dtype=torch.float64) for x in parameters]
        if name == "Categorical":
            return laws.Categorical(torch.stack(numbers))
        return laws.Binomial(parameters[0], numbers[1]) if name == "Binomial" else getattr(laws, name)(*numbers)

    return float(laws.kl_divergence(made(p), made(q)))


PEERS = {"numpyro": numpyro_value, "torch": torch_value}


def installed():
    """The peers that import here, with their versions."""
    found = {}
    for name in PEERS:
        try:
            found[name] = importlib.import_module(name).__version__
        except ImportError:
            continue
    return found


def measure(members=None, distances=DISTANCES):
    """A row for each pair: the divergence, and of each tool the relative error and whether it is negative."""
    peers, rows = installed(), []
    for name, starts in (MEMBERS if members is None else members).items():
        for p in starts:
            for distance in distances:
                q = moved(name, p, distance)
                if name in ("Bernoulli", "Binomial", "Categorical") and not max(q[-1], q[0] * (name != "Binomial")) < 1:
                    continue
                exact = truth(name, p, q)
                answer = qed.kl(by_qed(name, p), by_qed(name, q))
                row = {
                    "family": name,
                    "p": p,
                    "distance": distance,
                    "kl": float(exact),
                    "standing": str(answer.standing),
                }
                values = {"qed": answer.value}
                for peer in peers:
                    try:
                        values[peer] = PEERS[peer](name, p, q)
                    except NotImplementedError:
                        values[peer] = None
                row["values"] = values
                row["off"] = {k: None if v is None else off(v, exact) for k, v in values.items()}
                rows.append(row)
    return rows


def off(value, exact):
    """The relative error of a float64 number."""
    with precision(2000):
        return float(abs((value - exact) / exact).upper())


def holds(rows):
    """The promise: every divergence of qed is proved, right to 1e-13, and not negative."""
    return all(r["standing"] == "PROVED" and r["off"]["qed"] < PROMISED and r["values"]["qed"] >= 0 for r in rows)


def main():
    rows, peers = measure(), installed()
    print(f"{'family':14}{'distance':>10}{'KL':>12}" + "".join(f"{name:>12}" for name in ("qed", *PEERS)))
    for row in rows:
        cells = [row["off"].get(name, "-") for name in ("qed", *PEERS)]
        shown = ["none" if c is None else c if isinstance(c, str) else f"{c:.1e}" for c in cells]
        print(f"{row['family']:14}{row['distance']:10.0e}{row['kl']:12.2e}" + "".join(f"{one:>12}" for one in shown))
    for name in ("qed", *peers):
        known = [row for row in rows if row["off"][name] is not None]
        worst, negative = max(r["off"][name] for r in known), sum(r["values"][name] < 0 for r in known)
        print(f"{name}: {len(known)} of {len(rows)} pairs, largest relative error {worst:.1e}, {negative} negative")
    print("the promise", "holds" if holds(rows) else "does not hold")
    versions = {"python": platform.python_version(), "jax": jax.__version__, "numpy": np.__version__, **peers}
    record = {"versions": versions, "missing": [name for name in PEERS if name not in peers], "rows": rows}
    (Path(__file__).parent / "results" / "kl.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
