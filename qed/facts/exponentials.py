"""Exponentials and logarithms: exp' = exp, log' = 1/x, and what follows from them (NIST DLMF, chapter 4)."""

# ruff: noqa: E501  (a card is one line)

from __future__ import annotations

from qed.facts.card import entry

EXPONENTIALS = (
    entry("exp", "y", limits="0, inf", range="(0, inf)", log="affine", tex="e^{{x}}"),
    entry("exp2", "y * log(2)", limits="0, inf", range="(0, inf)", log="affine", flint="", definition="exp(x*log(2))", tex="2^{{x}}"),
    entry("expm1", "y + 1", limits="-1, inf", range="(-1, inf)", log="concave", tex="e^{{x}} - 1"),
    entry("log", "1/x", domain="(0, inf)", limits="-inf, inf", log="concave", tex=r"\log {x}"),
    entry("log1p", "1/(1 + x)", domain="(-1, inf)", limits="-inf, inf", log="concave", tex=r"\log(1 + {x})"),
    entry("log2", "1/(x*log(2))", domain="(0, inf)", limits="-inf, inf", log="concave", jax="jax.numpy.log2", flint="", definition="log(x)/log(2)", tex=r"\log_2 {x}"),
    entry("logistic", "y*(1 - y)", limits="0, 1", range="(0, 1)", bends="0", log="concave", numpy="scipy.special.expit", flint="", definition="1/(1 + exp(-x))", tex=r"\sigma({x})"),
)  # fmt: skip
