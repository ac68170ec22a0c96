"""``--box NAME|LOWER,UPPER``, ``--lower``, ``--upper``, ``--at``: the box that a question is about.

The ends are objects of the user's file or numbers, infinities among them. With ``--at NAME`` numbers are spread over
the shapes of that argument: ``--box=-1,1 --at w``.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qed.cli.question import Subject, find_point, find_subject
from qed.errors import QedError

InBox = Annotated[
    str | None,
    typer.Option("--box", "--bounds", metavar="NAME|LOWER,UPPER", help="A box of the file, or two ends."),
]
Lower = Annotated[str | None, typer.Option("--lower", metavar="NAME", help="The lower ends of the box, or a number.")]
Upper = Annotated[str | None, typer.Option("--upper", metavar="NAME", help="The upper ends of the box.")]
Like = Annotated[
    str | None, typer.Option("--at", metavar="NAME", help="The first argument: numbers are spread over its shapes.")
]


def find_on_box(
    target: str,
    args: str | None,
    box: str | None,
    lower: str | None,
    upper: str | None,
    at: str | None,
    *,
    whole: bool = False,
) -> tuple[Subject, Any]:
    """Import the file and find the function, its further arguments, and the box.

    Where `whole` is true, ``--at`` alone stands for the whole space.

    Raises:
        QedError: QED007 where no box is named, or as `find_subject` does.
    """
    ends = _ends(box, lower, upper)
    if ends is None and whole and at is not None:
        ends = ("-inf", "inf")
    if ends is None:
        what, because = f"the box for {target} is not given", "the question is about a box"
        raise QedError("QED007", what, because, "write --box LOWER,UPPER or --box NAME, such as --box=-5,5 --at w")
    subject = find_subject(target, ends[0] if at is None else at, args)
    found = [find_point(subject.module, subject.source, end) for end in ends]
    if len(found) == 1:
        return subject, found[0]
    if at is None and all(isinstance(end, float) for end in found):
        _takes_one_number(subject, f"{ends[0]},{ends[1]}")
    return subject, tuple(found if at is None else (_shaped(end, subject.x) for end in found))


def _takes_one_number(subject: Subject, box: str) -> None:
    """Raise where a function cannot be called with a number, and the box has no shapes."""
    import numpy as np

    from qed.graph.function import read

    try:
        read(subject.fun, np.float32(0), *subject.args, finite=False)
    except QedError as error:
        if error.code != "QED007":
            return
        instead = f"say with --at NAME which arrays it takes, such as --box={box} --at w"
        because = f"{error.because}; it was given one number"
        raise QedError(error.code, error.what, because, instead, error.span) from None


def find_box(subject: Subject, box: str | None, lower: str | None = None, upper: str | None = None) -> Any:
    """The box about a subject's point; None where none is named.

    Raises:
        QedError: QED007 where one of two ends is missing.
    """
    ends = _ends(box, lower, upper)
    if ends is None:
        return None
    found = [find_point(subject.module, subject.source, end) for end in ends]
    return found[0] if len(found) == 1 else tuple(_shaped(end, subject.x) for end in found)


def _ends(box: str | None, lower: str | None, upper: str | None) -> tuple[str, ...] | None:
    """The names of the two ends, or that of the whole box."""
    if box is None and lower is None and upper is None:
        return None
    if box is None and lower is not None and upper is not None:
        return lower, upper
    ends = tuple(part.strip() for part in (box or "").split(","))
    if lower is not None or upper is not None or len(ends) > 2 or "" in ends or _is_one_number(ends):
        what = "--box names one object or two ends, and --lower and --upper go together"
        raise QedError("QED007", "the box is not understood", what, "write --box=-5,5, or --lower=-5 --upper=5")
    return ends


def _is_one_number(ends: tuple[str, ...]) -> bool:
    if len(ends) > 1:
        return False
    try:
        float("".join(ends))
    except ValueError:
        return False
    return True


def _shaped(end: Any, like: Any) -> Any:
    """A number as arrays of the shapes of the argument `like`; arrays as they are."""
    import jax
    import numpy as np

    if not isinstance(end, float):
        return end
    return jax.tree.map(lambda leaf: np.full(np.shape(leaf), end, getattr(leaf, "dtype", float)), like)
