"""Integrals, sums, normalising constants and divergences with known answers: who claims what is not true?

    python -m benchmarks.integration          # everyone
    python -m benchmarks.integration --qed    # qed anew; what the peers said is kept from the committed file

Every question of tests/integration/questions.py is put to qed, and as integrals or sums (`benchmarks.integrators`) to
SciPy's quad, tanhsinh, cubature, qmc_quad and nsum, quadax, mpmath and vegas, where they are installed. Counted are,
beside digits, evaluations and processor time (compilation included, no cache of compiled code):

    lies    answers without a flag that are further from the truth than they claim, and 1e-13 of its size

A number without a flag for what is infinite or undefined is a lie too, unless it is infinite where the truth is. qed's
flag is the standing UNKNOWN. Evaluations of qed are those in float64; its balls (series and ranges) are counted beside
them. A peer that has spent PEER_SECONDS is asked no more; the questions come in an order drawn from the seed.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

import qed
from benchmarks.integrators import LINE, MANY, SUMS, Integral, Outcome, Task, asked
from qed.certificates.cells import Cell
from qed.domains.counts import COUNTS
from qed.domains.densities import NAMED
from qed.domains.masses import log_mass
from qed.domains.precision import precision
from qed.integration.images import base_of
from qed.integration.measure import Measure, Part
from qed.integration.probabilities import as_law
from qed.integration.product import Product
from tests.integration.questions import QUESTIONS, Question

RESULT = Path(__file__).parent / "results" / "integration.json"
SEED = 9
SLACK = 1e-13
"""How far off a reference may be itself, in parts of its size."""
PEER_SECONDS = 60.0
"""Processor time after which a peer is asked no more."""
BUDGET = 5.0
"""Seconds that qed is given for an integral in many dimensions."""
PACKAGES = {"quadax": "quadax", "mpmath": "mpmath", "vegas": "vegas"}
"""The packages behind the peers that are not SciPy's."""
KINDS = ("line", "hidden", "heavy", "discrete", "mixed", "normalizer", "kl", "many")


# --- what the peers are given ---


def log_density(part: Part) -> Callable[[Any], Any]:
    """The logarithm of a part's density, its weight included, as a function of x; without its constant if unknown."""
    weight = math.log(float(part.weight))
    if part.log_density is not None:
        own = part.log_density
        return lambda x: own(x) + weight
    if part.counting:
        if part.family == "Counting":
            return lambda x: 0 * x + weight
        return lambda k: COUNTS[part.family].log_mass(k, *part.parameters) + weight
    if part.probability:
        with precision(64):
            weight -= float(log_mass(part.family, part.parameters))
    return lambda x: NAMED[part.family].log_density(x, *part.parameters) + weight


def of_measure(f: Callable[[Any], Any], law: Measure) -> Task | None:
    """An expectation as integrals and sums; None where it is a finite sum of atoms, which needs no rule."""
    constant = sum(float(w) * float(f(jnp.asarray(x))) for x, w in law.atoms)
    above, below = [], []
    for given in law.parts:
        part, image = base_of(given)
        g = (lambda x: x) if image is None else image
        u = log_density(part)
        ends = part.lower, part.upper
        above.append(Integral(lambda x, u=u, g=g: f(g(x)) * jnp.exp(u(x)), *ends, part.counting))
        if part.log_density is not None and part.probability:
            below.append(Integral(lambda x, u=u: jnp.exp(u(x)), *ends, part.counting))
    if not above or (below and len(law.parts) + len(law.atoms) > 1):
        return None
    return Task(constant, tuple(above), tuple(below))


def of_product(verb: str, f: Callable[[Any], Any], law: Product) -> Task:
    """An integral in many dimensions, of f times the densities, or of exp f."""
    low, high = law.ends
    if verb == "normalizer":
        return Task(0.0, (Integral(lambda x: jnp.exp(f(x)), low, high),), logarithm=True)
    laws = [log_density(one.parts[0]) for one in law.factors]

    def integrand(x: Any) -> Any:
        weight = sum((u(x[k]) for k, u in enumerate(laws)), jnp.zeros(()))
        return jnp.asarray(f(x), float) * jnp.exp(weight)

    return Task(0.0, (Integral(integrand, low, high),))


def of_divergence(p: Measure, q: Measure) -> Task | None:
    """int p (log p - log q), of laws without atoms whose constants are known."""
    if p.atoms or q.atoms or any(part.log_density for law in (p, q) for part in law.parts):
        return None
    counting = bool(p.sums)
    if counting != bool(q.sums):
        return None

    def logarithm(law: Measure) -> Callable[[Any], Any]:
        terms = [(log_density(part), part.lower, part.upper) for part in law.parts]

        def total(x: Any) -> Any:
            each = [jnp.where((x >= low) & (x <= high), u(x), -jnp.inf) for u, low, high in terms]
            return jax.scipy.special.logsumexp(jnp.stack(each)) if len(each) > 1 else each[0]

        return total

    log_p, log_q = logarithm(p), logarithm(q)
    ends = min(part.lower for part in p.parts), max(part.upper for part in p.parts)
    return Task(0.0, (Integral(lambda x: jnp.exp(log_p(x)) * (log_p(x) - log_q(x)), *ends, counting),))


def task(question: Question) -> Task | None:
    """A question as integrals and sums; None where it is none."""
    first, *others = question.arguments
    if question.kind == "many":
        return of_product(question.verb, first, others[0])
    if question.verb == "kl":
        return of_divergence(as_law(first), as_law(others[0]))
    if question.verb == "normalizer":
        ends = (others[0].parts[0].lower, others[0].parts[0].upper) if others else (-math.inf, math.inf)
        return Task(0.0, (Integral(lambda x: jnp.exp(first(x)), *ends, log=first),), logarithm=True)
    return of_measure(first, others[0])


# --- who is asked ---


@contextlib.contextmanager
def counted() -> Iterator[dict[str, int]]:
    """Count qed's evaluations in float64 and in balls."""
    found = {"float64": 0, "balls": 0}

    def counting(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(*args: Any) -> Any:
            evaluate = make(*args)

            def one(x: Any) -> Any:
                found["float64"] += len(np.atleast_2d(x)) if make.__name__ == "rowwise" else int(np.size(x))
                return evaluate(x)

            return one

        return made

    def ball(method: Any) -> Any:
        def one(self: Cell, *args: Any) -> Any:
            found["balls"] += 1
            return method(self, *args)

        return one

    names = {"vectorised": ("expectation", "normalizer", "laws", "comparison"),
             "rowwise": ("many.hidden", "many.modes", "many.sampling")}  # fmt: skip
    with contextlib.ExitStack() as stack:
        for name, modules in names.items():
            for module in modules:
                path = f"qed.integration.{module}"
                made = getattr(importlib.import_module(path), name)
                stack.enter_context(mock.patch(f"{path}.{name}", counting(made)))
        for name in ("series", "bounds_of"):
            stack.enter_context(mock.patch.object(Cell, name, ball(getattr(Cell, name))))
        yield found


def by_qed(question: Question) -> dict[str, Any]:
    """qed's row."""
    more = {"budget": BUDGET} if question.kind == "many" else {}
    with counted() as counts:
        start = time.process_time()
        answer = getattr(qed, question.verb)(*question.arguments, **more)
        spent = time.process_time() - start
    value = math.nan if answer.value is None else float(answer.value)
    # the true error may be as large as the farther bound
    error = 0.0 if math.isinf(value) else max(answer.upper - value, value - answer.lower)
    found = Outcome(value, error, bool(answer.unknown), counts["float64"])
    undefined = bool(answer.proved and math.isnan(value))
    inside = undefined or answer.lower - slack(question) <= question.truth <= answer.upper + slack(question)
    row = told(found, question, spent)
    row |= {"standing": str(answer.standing), "balls": counts["balls"], "undefined": undefined}
    row["lie"] = not found.flagged and not (math.isnan(question.truth) == undefined and inside)
    return row


def by_peer(rule: Callable[[Integral], Outcome], given: Task, question: Question) -> dict[str, Any]:
    """A peer's row."""
    start = time.process_time()
    found = asked(rule, given)
    return told(found, question, time.process_time() - start)


def told(found: Outcome, question: Question, spent: float) -> dict[str, Any]:
    """A row of the record: what was answered, and whether it is a lie."""
    true = question.truth
    off = 0.0 if found.value == true else abs(found.value - true)
    lie = not found.flagged and not off <= found.error + slack(question)
    return {
        "value": shown(found.value), "error": shown(found.error), "off": shown(off), "flagged": found.flagged,
        "lie": lie, "evaluations": found.evaluations, "seconds": round(spent, 3),
        **({"raised": found.raised} if found.raised else {}),
    }  # fmt: skip


def slack(question: Question) -> float:
    """What the reference itself may be off by."""
    return SLACK * abs(question.truth) if math.isfinite(question.truth) else 0.0


def shown(number: float) -> float | str:
    """A number as JSON has it; a text where it is infinite or none."""
    return number if math.isfinite(number) else str(number)


def measure(
    questions: Sequence[Question],
    peers: Sequence[str] = (*LINE, *SUMS, *MANY),
    known: Mapping[tuple[str, str], dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """A row for each question, with what qed said and each of the peers, or what they are known to have said."""
    spent: dict[str, float] = {}
    absent: set[str] = set()
    rows = []
    for question in questions:
        row = {"kind": question.kind, "name": question.name, "truth": shown(question.truth)}
        row["tools"] = {"qed": by_qed(question)}
        if known is not None:
            row["tools"] |= known[question.kind, question.name]
        given = None if known is not None else task(question)
        sums = given is not None and any(one.whole for one in given.above)
        rules = {} if given is None else MANY if question.kind == "many" else SUMS if sums else LINE
        for name, rule in rules.items():
            if name not in peers or name in absent or spent.get(name, 0.0) > PEER_SECONDS:
                continue
            assert given is not None
            try:
                found = by_peer(rule, given, question)
            except ModuleNotFoundError:
                absent.add(name)
                continue
            spent[name] = spent.get(name, 0.0) + found["seconds"]
            row["tools"][name] = found
        rows.append(row)
        print(told_in_a_line(row), flush=True)
    return rows


def told_in_a_line(row: dict[str, Any]) -> str:
    """A question and who lied."""
    mine = row["tools"]["qed"]
    liars = [name for name, found in row["tools"].items() if found["lie"]]
    words = f"{row['kind']:11}{row['name']:36}{mine['standing']:9} off {float(mine['off']):8.1e}"
    return f"{words} of {float(mine['error']):8.1e} {mine['seconds']:6.1f} s   lies: {', '.join(liars) or '-'}"


# --- what it comes to ---


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each tool: how often it was asked, what it flagged, its lies, digits, evaluations and seconds."""
    found = {}
    for name in dict.fromkeys(name for row in rows for name in row["tools"]):
        mine = [(row, row["tools"][name]) for row in rows if name in row["tools"]]
        plain = [(row, one) for row, one in mine if not one["flagged"]]
        numbers = [(row, one) for row, one in mine if isinstance(row["truth"], float | int)]
        infinite = [one for row, one in mine if isinstance(row["truth"], str)]
        found[name] = {
            "asked": len(mine),
            "unflagged": len(plain),
            "lies": sum(one["lie"] for _, one in plain),
            "median digits": round(statistics.median(digits(row, one) for row, one in numbers), 1) if numbers else None,
            "infinite": len(infinite),
            "infinite caught": sum(not one["lie"] for one in infinite),
            "median evaluations": int(statistics.median(one["evaluations"] for _, one in mine)),
            "seconds": round(sum(one["seconds"] for _, one in mine), 1),
            "median seconds": round(statistics.median(one["seconds"] for _, one in mine), 3),
        }
    return found


def digits(row: dict[str, Any], one: dict[str, Any]) -> float:
    """The digits of the answer to a question with a finite answer that are right: 0 to 15, 0 where it is flagged."""
    off = float(one["off"])
    if one["flagged"] or not math.isfinite(off):
        return 0.0
    size = abs(row["truth"]) or 1.0
    return 15.0 if off == 0.0 else min(15.0, max(0.0, -math.log10(off / size)))


def proved(rows: Sequence[dict[str, Any]], many: bool) -> tuple[int, int, int, int]:
    """Finite questions that are PROVED to 1e-3 (in many dimensions: answered within 10 %) and all; infinite ones."""
    finite = infinite = of_finite = of_infinite = 0
    for row in rows:
        if (row["kind"] == "many") != many:
            continue
        mine, true = row["tools"]["qed"], row["truth"]
        if isinstance(true, str):
            of_infinite += 1
            infinite += mine["standing"] == "PROVED" and not mine["lie"]
        else:
            of_finite += 1
            near = float(mine["error"]) <= (0.1 if many else 1e-3) * max(abs(true), 1e-300 if true else 1.0)
            finite += bool(near and not mine["flagged"] and (many or mine["standing"] == "PROVED"))
    return finite, of_finite, infinite, of_infinite


def holds(rows: Sequence[dict[str, Any]]) -> bool:
    """The promise: no lie of qed; 90 % of the others proved, finite and infinite; 60 % of many dimensions close."""
    finite, of_finite, infinite, of_infinite = proved(rows, many=False)
    near, of_near, *_ = proved(rows, many=True)
    honest = not any(row["tools"]["qed"]["lie"] for row in rows)
    return honest and finite >= 0.9 * of_finite and infinite >= 0.9 * of_infinite and near >= 0.6 * of_near


def versions() -> dict[str, str]:
    """Of everything that took part."""
    found = {"python": platform.python_version()}
    for name in ("jax", "numpy", "scipy", "python-flint", *PACKAGES.values()):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def recorded(measured: Callable[[], list[dict[str, Any]]]) -> dict[str, Any]:
    """What a result file holds; its summary is printed."""
    start = time.monotonic()
    rows = measured()
    total, used = summary(rows), versions()
    for name, one in total.items():
        share = f"{one['lies']} of {one['unflagged']}"
        words = f"{name:22}asked {one['asked']:4}  lies {share:12} digits {one['median digits'] or 0:5}"
        caught = f"infinite {one['infinite caught']} of {one['infinite']}"
        print(f"{words}  {caught:18} evaluations {one['median evaluations']:8}  {one['seconds']:7} s")
    return {
        "versions": used, "seed": SEED, "shared": True, "seconds": round(time.monotonic() - start),
        "missing": [name for name, package in PACKAGES.items() if package not in used], "summary": total, "rows": rows,
    }  # fmt: skip


def said(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What the peers said in a committed run, by the kind and the name of the question.

    Raises:
        ValueError: where anything that took part has another version now.
    """
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["versions"] != versions():
        raise ValueError(f"{path.name} is of {record['versions']}, and this is {versions()}: ask everyone")
    return {
        (row["kind"], row["name"]): {name: one for name, one in row["tools"].items() if name != "qed"}
        for row in record["rows"]
    }


def written(record: dict[str, Any], path: Path) -> None:
    """The result file, a row a line."""
    rows = ",\n".join("  " + json.dumps(row) for row in record["rows"])
    head = json.dumps({**record, "rows": []}, indent=1)
    path.write_text(head.replace('"rows": []', f'"rows": [\n{rows}\n ]') + "\n", encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    jax.config.update("jax_enable_compilation_cache", False)
    order = np.random.default_rng(SEED).permutation(len(QUESTIONS))
    known = said(RESULT) if "--qed" in arguments else None
    record = recorded(lambda: measure([QUESTIONS[k] for k in order], known=known)) | {"peers kept": known is not None}
    record["rows"].sort(key=lambda row: (KINDS.index(row["kind"]), row["name"]))
    written(record, RESULT)
    rows = record["rows"]
    print("the promise", "holds" if holds(rows) else "does not hold", proved(rows, False), proved(rows, True))


if __name__ == "__main__":
    main(sys.argv[1:])
