"""Whether the gradient reaches the first layers: the product of the factors, and what it does to the parameters.

A product of n factors below 1 vanishes geometrically, one of factors above 1 explodes. A small product alone is no
fault, since a loss may be scaled; that the first layers are left behind is seen at the parameters: the gradient
relative to the weights, |dL/dW| / |W|, of the first layers beside that of the others. A finding needs both. A factor of
exactly zero (weights that start at zero, units that never fire) is no vanishing product and is said as it is.

In a recurrent network every step has the same weights, and what vanishes is what the early steps add to their gradient.
It is certain to be lost where the product is below the rounding of the arithmetic.

Reference: Hochreiter (1991), diploma thesis; Glorot and Bengio (2010), *Understanding the difficulty of training
deep feedforward neural networks*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qed.answer import Answer, Finding, Reason, Standing
from qed.calculus.backpropagation.tape import Chain, Layer, Stage, ratio
from qed.calculus.backpropagation.worked import four
from qed.findings import Level

FAR = 1e-4
"""Product of the factors, and gradient over weights beside the largest, below which the gradient has vanished."""

SHRINKS, GROWS = 0.5, 2.0
"""The typical factor that a vanishing or exploding product must have, so that it is no matter of one layer."""

UNDERFLOWS = 1e-20
"""A product that was as small as this before it became 0 has underflowed: it vanishes, no factor is zero."""

GONE = 0.01
"""Where |adjoint| first falls below this share of that at the end, the gradient is said to collapse."""


@dataclass(frozen=True, eq=False)
class Reach:
    """What a chain does to the gradient: 'vanishes', 'explodes', 'stops' (a factor of exactly 0) or 'reaches'.

    `first` is |dL/dW| / |W| of the first layer, `compared` the largest (where it explodes, the smallest) of all layers.
    """

    kind: str
    chain: Chain
    place: Stage | None
    certain: bool
    first: float | None = None
    compared: float | None = None


def judge(chain: Chain, layers: Sequence[Layer], roundoff: float) -> Reach:
    """What happens along one chain.

    >>> stages = tuple(Stage(f"layer {k}", (), None, 4.0**k, 4.0 ** (k - 1)) for k in range(1, 21))
    >>> found = judge(Chain("equations", stages), (), 6e-8)
    >>> found.kind, found.place.name, found.certain
    ('vanishes', 'layer 17', False)
    """
    product, typical = chain.product, chain.typical
    if chain.kind == "equations":  # one factor of scale is no chain: most factors must shrink, or grow
        typical = (
            sorted(stage.factor for stage in chain.stages)[len(chain.stages) // 2] if len(chain.stages) > 4 else 1.0
        )
    stopped = next((stage for stage in reversed(chain.stages) if stage.out > 0 and stage.into == 0), None)
    if stopped is not None and chain.product_behind(stopped) > UNDERFLOWS:
        return Reach("stops", chain, stopped, False)
    if not chain.stages or not 0 <= product < float("inf"):
        return Reach("reaches", chain, None, False)
    loop = chain.kind == "loop"
    stepped = any(layer.shared and layer.step is not None for layer in layers)  # weights that every step adds to
    if product <= (roundoff if loop else FAR) and (typical <= SHRINKS or loop):
        first, largest = _pull(chain, layers)
        certain = stepped if loop else (first is not None and largest is not None and first <= FAR * largest)
        return Reach("vanishes", chain, _crossing(chain, GONE), certain, first, largest)
    if product >= 1 / FAR and (typical >= GROWS or loop):
        first, least = _pull(chain, layers, grows=True)
        certain = stepped if loop else (first is not None and least is not None and FAR * first >= least)
        return Reach("explodes", chain, _crossing(chain, 1 / GONE), certain, first, least)
    return Reach("reaches", chain, None, False)


def _crossing(chain: Chain, share: float) -> Stage:
    """The first stage, from the result on, behind which |adjoint| is beyond a share of that at the result."""
    start = chain.stages[-1].out
    for stage in reversed(chain.stages):
        relative = ratio(stage.into, start)
        if (relative <= share) if share < 1 else (relative >= share):
            return stage
    return chain.stages[0]


def _ratios(layers: Sequence[Layer]) -> list[tuple[int, float]]:
    return [(i, layer.weight / layer.scale) for i, layer in enumerate(layers) if layer.scale > 0 and not layer.shared]


def _pull(chain: Chain, layers: Sequence[Layer], grows: bool = False) -> tuple[float | None, float | None]:
    """|dL/dW| / |W| of the first layer of a chain (or of a layer before it), and the other extreme of all layers."""
    ratios = [(i, value) for i, value in _ratios(layers) if value > 0]
    start = min((i for stage in chain.stages for i in stage.layers), default=0)
    early = [value for i, value in ratios if i <= start]
    if chain.kind != "layers" or not early:
        return None, None
    every = [value for _, value in ratios]
    return (max(early), min(every)) if grows else (min(early), max(every))


# --- in words -------------------------------------------------------------------------------------------------


def unit(chain: Chain) -> str:
    """What a stage of a chain is called."""
    if chain.kind == "layers" and any(len(stage.layers) > 1 for stage in chain.stages):
        return "block"
    return {"layers": "layer", "loop": "step", "equations": "equation"}[chain.kind]


def sentence(reach: Reach) -> str:
    """What happens, in one sentence."""
    chain, count = reach.chain, len(reach.chain.stages)
    word = unit(chain)
    where = f" of the loop at {chain.where}" if chain.kind == "loop" and chain.where else ""
    if reach.kind == "stops" and reach.place is not None:
        return f"the gradient is exactly zero behind {reach.place.name}{where}"
    if reach.kind == "reaches" or reach.place is None:
        low, high = min(s.factor for s in chain.stages), max(s.factor for s in chain.stages)
        span = f"{four(low)} to {four(high)} each"
        return f"through {count} {word}s{where} the gradient changes by the factor {four(chain.product)} ({span})"
    verb = "shrinks to" if reach.kind == "vanishes" else "grows to"
    below = "below 1 %" if reach.kind == "vanishes" else "above 100 times"
    return (
        f"through {count} {word}s{where} the gradient {verb} {four(chain.product)} of what it was, about "
        f"{four(chain.typical)} {'an' if word[0] == 'e' else 'a'} {word}; it is {below} from {reach.place.name} on"
    )


def answer(reaches: Sequence[Reach], layers: Sequence[Layer], arithmetic: str) -> Answer[None] | None:
    """The part of the answer about shrinking and growing; None where there is no chain to look at."""
    reaches = [reach for reach in reaches if reach.chain.kind != "equations" or reach.kind != "reaches"]
    if not reaches:
        return None
    wrong = [reach for reach in reaches if reach.certain]
    findings = tuple(_finding(reach) for reach in wrong)
    against = any(finding.level is not Level.NOTE for finding in findings)
    reasons = [row for reach in (wrong or reaches) for row in (_reason(reach), *_blame(reach.chain, layers))]
    if against:
        claim = "the gradient reaches the first layers as it reaches the last"
        return Answer(claim, Standing.REFUTED, reasons=tuple(reasons), findings=findings, arithmetic=arithmetic)
    claim = "; ".join(sentence(reach) for reach in reaches)
    return Answer(claim, Standing.MEASURED, reasons=tuple(reasons), findings=findings, arithmetic=arithmetic)


def _reason(reach: Reach) -> Reason:
    chain = reach.chain
    ends = ratio(chain.stages[0].into, chain.stages[-1].out) if chain.stages else 1.0
    shown = [four(stage.factor) for stage in reversed(chain.stages)]
    factors = " * ".join(shown if len(shown) <= 8 else [*shown[:4], "...", *shown[-3:]])
    return Reason(
        "the chain rule through every layer",
        formula="|dL/dh_0| / |dL/dh_n| = product of |dL/dh_(k-1)| / |dL/dh_k|",
        with_numbers=f"{factors} = {four(chain.product)}",
        predicted=chain.product,
        observed=ends,
        standing=Standing.MEASURED,
        text=f"from the result back: {factors} = {four(chain.product)}",
    )


def _blame(chain: Chain, layers: Sequence[Layer]) -> list[Reason]:
    """Which of the two is to blame, sigma' or W: each factor is the product of what both do to the norm."""
    members = [layers[stage.layers[0]] for stage in chain.stages if len(stage.layers) == 1]
    if chain.kind != "layers" or len(members) < len(chain.stages):
        return []
    slopes, weights = 1.0, 1.0
    for layer in members:
        slopes *= layer.by_slope
        weights *= layer.by_weight or 1.0
    kinds = sorted({layer.activation for layer in members if layer.activation})
    named = f" of {', '.join(kinds)}" if kinds else ""
    text = f"sigma'(z){named} makes {four(slopes)} of it, the weights {four(weights)}"
    top = max((layer.slopes[2] for layer in members if layer.slopes is not None), default=None)
    text += "" if top is None else f"; the largest |sigma'(z)| anywhere is {four(top)}"
    return [Reason("a factor is |delta| / |dL/dh| times |delta W'| / |delta|", role="of that", text=text)]


def _finding(reach: Reach) -> Finding:
    chain, place = reach.chain, reach.place
    code = "QED405" if reach.kind == "vanishes" else "QED406"
    level = Level.NOTE if chain.kind == "loop" and reach.kind == "vanishes" else None
    message = sentence(reach) if level is None else "what the first steps add to the gradient is below its rounding"
    note = f"factor {four(place.factor)} here, {four(chain.product)} in all" if place is not None else message
    witness = {
        "product": chain.product,
        "typical_factor": chain.typical,
        "stages": len(chain.stages),
        "at": None if place is None else place.name,
        "gradient_over_weights_first": reach.first,
        "gradient_over_weights_compared": reach.compared,
        "note": note,
    }
    return Finding(code, message, None if place is None else place.span, witness, level)
