"""The identities of the logarithm rewriting, in words that a report can print, with the condition each needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Law:
    """An identity of real numbers, and where it holds."""

    identity: str
    condition: str


EXP = Law("log(exp(a)) = a", "always")
POWER = Law("log(a**k) = k log(a)", "a > 0 (|a| where k is even)")
PRODUCT = Law("log(a * b) = log(a) + log(b)", "a > 0 and b > 0")
QUOTIENT = Law("log(a / b) = log(a) - log(b)", "a > 0 and b > 0")
SUM = Law("log(sum(exp(a))) = logsumexp(a)", "always")
ADD = Law("log(exp(a) + exp(b)) = logaddexp(a, b)", "always")
SOFTPLUS = Law("log(1 + exp(a)) = softplus(a)", "always")
LOGISTIC = Law("log(sigmoid(a)) = -softplus(-a), log(1 - sigmoid(a)) = -softplus(a)", "always")
SIGMOIDS = Law("sigmoid(-a) - sigmoid(-b) = sigmoid(-a) sigmoid(b) (1 - exp(a - b))", "always")
SHARE = Law("log(exp(a)) - log(exp(a) + exp(b)) = -softplus(b - a)", "always")
OTHER = Law("1 - exp(a) / (exp(a) + exp(b)) = exp(b) / (exp(a) + exp(b))", "always")
SUB = Law("log(exp(a) - exp(b)) = a + log(1 - exp(b - a))", "a > b, as for the original")
EXPM1 = Law("log(exp(a) - 1) = a + log(1 - exp(-a))", "a > 0, as for the original")
COSH = Law(
    "log(cosh(a)) = |a| + log1p(exp(-2|a|)) - log(2) = log1p(2 sinh(a/2)**2), exp(a) + exp(-a) = 2 cosh(a)", "always"
)
ERFC = Law("log(erfc(a)) = -a**2 - log(sqrt(pi) (a + (1/2)/(a + 1/(a + ...))))", "a > 0; log(erfc(a)) elsewhere")
NEAR_ONE = Law("log(n) = log1p(n - 1)", "n > 0, as for the original")
SOFTMAX = Law("exp(a) / sum(exp(a)) = exp(a - max(a)) / sum(exp(a - max(a)))", "always")
WEIGHTS = Law("sum(exp(a) * v) / sum(exp(a)) = sum(softmax(a) * v)", "always")
LOG_SQUARE = Law("log(c (1 + a**2)) = log(c) + log(1 + a**2), the latter 2 log|a| where a is large", "c > 0")
PICK = Law("sum(a * m) = a where m = 1", "m is 1 at one place of each row and 0 elsewhere")
PROD = Law("log(prod(a)) = sum(log(a))", "all a > 0")
WEIGHTED = Law(
    "log(sum(w * exp(a))) = m + log(sum(w * exp(a - m)))",
    "wherever the original is defined; w may have any sign",
)
XLOGX = Law("a log(a), its derivative (log(a) + 1) a'", "a > 0; 0 where a = 0")
MONOTONE = Law("log(max(a, b)) = max(log(a), log(b)), and the same for min", "a > 0 and b > 0")
SELECT = Law("log(where(c, a, b)) = where(c, log(a), log(b))", "always")
LOG1P = Law("log(1 + a) = log1p(a)", "always")
DIVIDE = Law("a / b = exp(log(a) - log(b))", "a > 0 and b > 0")
DIVISOR = Law("a / b = a exp(-log(b))", "b > 0")
SCALED = Law(
    "log(c) = log(m) + e log(2) for c = m * 2**e, the loop being homogeneous in c", "c > 0, as for the original"
)
CARRY = Law("log(f(exp(l))) is carried instead of f(c)", "c > 0, which the start and each step show")
PROD_OF_POWERS = Law("log(prod(a**b)) = sum(b log |a|)", "prod > 0, as for the original")
SIGNED_PROD = Law("log(prod(m * 2**e)) = log(prod(m)) + sum(e) log(2)", "prod > 0, as for the original")
PROD_NEAR_ONE = Law("log(prod(1 + v)) = sum(log1p(v))", "prod > 0, as for the original")
FACTORS = Law("c after the loop = c before it times the factors of all steps", "always")
