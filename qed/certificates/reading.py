"""What an answer about real numbers says of how the program was read: what was left out, and what stands for what.

Two things are read otherwise than they are computed: casts to shorter formats, as identities (`qed.graph.narrowing`),
and, where a shape is proved, library functions that approximate others, as those (`qed.certificates.library`).
"""

from __future__ import annotations

from typing import Any, TypeVar

from qed.answer import Answer
from qed.certificates.certificate import Certificate
from qed.certificates.library import told as with_functions
from qed.graph.narrowing import told as with_casts
from qed.graph.trace import Traced

T = TypeVar("T")


def as_read(answer: Answer[T], traced: Traced) -> Answer[T]:
    """The answer, with the sentences that say how its program was read.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> traced = trace(lambda x: x.astype(jnp.float16).astype(jnp.float32) - x, 1.0)
        >>> as_read(Answer("f is 0", "MEASURED", arithmetic="reals"), traced).reasons[0].rule
        'the rounding of casts is left out'
    """
    answer = with_casts(answer, traced.graph)
    return with_functions(answer, traced) if _reads_meant(answer) else answer


def _reads_meant(answer: Answer[Any]) -> bool:
    """Whether a certificate of the answer, or of one of its parts, reads library functions as what they stand for."""
    certificate = answer.certificate
    own = isinstance(certificate, Certificate) and certificate.reads_meant
    return own or any(_reads_meant(part) for part in answer.answers)


__all__ = ["as_read"]
