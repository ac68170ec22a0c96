"""``qed convex FILE.py:FUNCTION --box NAME``: is the function convex on a box.

With ``--at NAME`` numbers as ends are spread over the shape of that argument: ``--box -1,1 --at w``.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qed.cli.question import Args, AsJson, At, Budget, Strict, Target, Unfold, ask, find_point, find_subject
from qed.errors import QedError

Box = Annotated[
    str | None, typer.Option("--box", metavar="NAME|LOWER,UPPER", help="A box of the file, or its two ends.")
]
Lower = Annotated[str | None, typer.Option("--lower", metavar="NAME", help="The lower ends of the box, or a number.")]
Upper = Annotated[str | None, typer.Option("--upper", metavar="NAME", help="The upper ends of the box.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Of the random search for two points.")]


def command(
    target: Target,
    box: Box = None,
    lower: Lower = None,
    upper: Upper = None,
    at: At = None,
    args: Args = None,
    seed: Seed = 0,
    budget: Budget = "10s",
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """Is the function convex on a box: with a proof, or two points that show that it is not."""
    from qed.cli.output import seconds

    first, second = _ends(target, box, lower, upper)
    subject = find_subject(target, first, args)
    found: Any = subject.x
    if second is not None:
        found = (subject.x, find_point(subject.module, subject.source, second))
        if at is not None:
            like = find_point(subject.module, subject.source, at)
            found = tuple(_shaped(end, like) for end in found)
    limit = seconds(budget)
    import qed

    ask(
        lambda: qed.convexity(subject.fun, found, *subject.args, seed=seed, budget=limit),
        as_json,
        unfold,
        strict,
    )


def _shaped(end: Any, like: Any) -> Any:
    """A number as arrays of the shapes of the argument `like`; arrays as they are."""
    import jax
    import numpy as np

    if not isinstance(end, float):
        return end
    return jax.tree.map(lambda leaf: np.full(np.shape(leaf), end, getattr(leaf, "dtype", float)), like)


def _ends(target: str, box: str | None, lower: str | None, upper: str | None) -> tuple[str, str | None]:
    """The names of the two ends, or that of the whole box."""
    if box is not None and lower is None and upper is None:
        first, comma, second = box.partition(",")
        return first.strip(), second.strip() if comma else None
    if box is None and lower is not None and upper is not None:
        return lower, upper
    what, because = f"the box for {target} is not given", "convexity is a question about a box"
    raise QedError("QED007", what, because, "write --box LOWER,UPPER or --box NAME, such as --box -5,5 --at w")
