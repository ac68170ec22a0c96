"""What qed raises when it cannot answer: one class, and every error has a code.

An error says three things: *what* happened, *because* of what, and what to do *instead*. Its code is a row
of the table in qed/findings.py, and ``qed explain QED002`` prints the page about it. A subclass exists only
where some code catches that kind alone.
"""

from __future__ import annotations

from typing import Any

from qed.span import Span


class QedError(Exception):
    """An error with a code, a cause and a way out.

    >>> error = QedError("QED002", "loss(w) is no scalar", "its shape is (178,)", "return jnp.mean(...)")
    >>> print(error)
    loss(w) is no scalar
      because its shape is (178,)
      instead return jnp.mean(...)
    >>> error.code
    'QED002'

    `detail` is any JSON-able mapping for programs that read the error (shapes, names, the original
    message).
    """

    def __init__(
        self,
        code: str,
        what: str,
        because: str,
        instead: str,
        span: Span | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, what, because, instead, span, detail)
        self.code = code
        self.what = what
        self.because = because
        self.instead = instead
        self.span = span
        self.detail = detail

    def __str__(self) -> str:
        """Three lines: what, because, instead; a part left empty is left out."""
        parts = [self.what]
        if self.because:
            parts.append(f"  because {self.because}")
        if self.instead:
            parts.append(f"  instead {self.instead}")
        return "\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """A JSON object (schema "qed/error/1") with the code, the three texts, the span and the detail."""
        return {
            "schema": "qed/error/1",
            "code": self.code,
            "what": self.what,
            "because": self.because,
            "instead": self.instead,
            "span": None if self.span is None else self.span.to_json(),
            "detail": self.detail,
        }


class CertificateError(QedError):
    """A proof was checked again and a step of it does not hold.

    `node` names the step (a path into the certificate), `why` says what is wrong with it.

    >>> print(CertificateError("tree.0.bound", "the upper end 0.9 is below the value 1.0"))
    the certificate fails at tree.0.bound
      because the upper end 0.9 is below the value 1.0
      instead treat the claim as UNKNOWN
    """

    def __init__(self, node: str, why: str) -> None:
        super().__init__("QED021", f"the certificate fails at {node}", why, "treat the claim as UNKNOWN")
        self.args = (node, why)
        self.node = node
        self.why = why
