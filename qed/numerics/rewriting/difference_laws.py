"""The identities of the difference rewriting, in words that a report can print, with the condition each needs."""

from __future__ import annotations

from qed.numerics.rewriting.laws import Law

NORM_AT_ZERO = "the derivative of a norm at 0 is 0"
"""A convention: one of the subgradients."""
CANCEL = Law("equal terms cancel", "always")
COMMON = Law("a b - a c = a (b - c)", "always")
FRACTIONS = Law("a / b - c / d = (a d - c b) / (b d)", "wherever the original is defined")
EXPANDED = Law("the polynomial multiplied out", "always")
FACTORED = Law("the polynomial divided by its roots", "always")
PAIRED = Law("terms that cancel are subtracted first", "always")
SQUARES = Law("a**2 - b**2 = (a - b)(a + b)", "always")
CUBES = Law("a**3 - b**3 = (a - b)(a**2 + a b + b**2)", "always")
ROOT = Law("sqrt(a) - b = (a - b**2) / (sqrt(a) + b)", "b > 0; elsewhere nothing cancels and it stays")
PRODUCT = Law("(1 + a)(1 + b) - 1 = a + b (1 + a)", "always")
PRODUCTS = Law("a b - c d with both products exact", "always")
MOVED = Law("the difference of two moved arrays is the moved difference", "always")

ATOMS = {
    "sqrt": Law("sqrt(a) - sqrt(b) = (a - b) / (sqrt(a) + sqrt(b))", "a >= 0 and b >= 0, as for the original"),
    "cbrt": Law("cbrt(a) - cbrt(b) = (a - b) / (cbrt(a)**2 + cbrt(a) cbrt(b) + cbrt(b)**2)", "a b > 0, else as it is"),
    "rsqrt": Law("rsqrt(a) - rsqrt(b) = (b - a) / (sqrt(a) sqrt(b) (sqrt(a) + sqrt(b)))", "a, b > 0, as original"),
    "exp": Law("exp(a) - exp(b) = exp(b) expm1(a - b)", "always"),
    "expm1": Law("expm1(a) - expm1(b) = exp(b) expm1(a - b)", "always"),
    "exp2": Law("exp2(a) - exp2(b) = exp2(b) expm1(log(2) (a - b))", "always"),
    "log": Law("log(a) - log(b) = log1p((a - b) / b)", "a > 0 and b > 0, as for the original"),
    "log1p": Law("log1p(a) - log1p(b) = log1p((a - b) / (1 + b))", "a > -1 and b > -1, as for the original"),
    "softplus": Law("softplus(a) - softplus(b) = log1p(sigmoid(b) expm1(a - b))", "always"),
    "log_cosh": Law("log(cosh(a)) - log(cosh(b)) = log1p(tanh(b) sinh(a - b) + 2 sinh((a - b)/2)**2)", "always"),
    "tanh": Law("tanh(a) - tanh(b) = sinh(a - b) / (cosh(a) cosh(b))", "always"),
    "logistic": Law("sigmoid(a) - sigmoid(b) = (tanh(a/2) - tanh(b/2)) / 2", "always"),
    "sin": Law("sin(a) - sin(b) = 2 cos(b + (a - b)/2) sin((a - b)/2)", "always"),
    "cos": Law("cos(a) - cos(b) = -2 sin(b + (a - b)/2) sin((a - b)/2)", "always"),
    "tan": Law("tan(a) - tan(b) = sin(a - b) / (cos(a) cos(b))", "wherever the original is defined"),
    "sinh": Law("sinh(a) - sinh(b) = 2 cosh(b + (a - b)/2) sinh((a - b)/2)", "always"),
    "cosh": Law("cosh(a) - cosh(b) = 2 sinh(b + (a - b)/2) sinh((a - b)/2)", "always"),
    "asin": Law("asin(a) - asin(b) = asin(a sqrt(1 - b**2) - b sqrt(1 - a**2))", "a b > 0, else as it is"),
    "acos": Law("acos(a) - acos(b) = -asin(a sqrt(1 - b**2) - b sqrt(1 - a**2))", "a b > 0, else as it is"),
    "atan": Law("atan(a) - atan(b) = atan((a - b) / (1 + a b))", "a b > -1/2, else as it is"),
    "asinh": Law("asinh(a) - asinh(b) = asinh(a sqrt(1 + b**2) - b sqrt(1 + a**2))", "always"),
    "atanh": Law("atanh(a) - atanh(b) = atanh((a - b) / (1 - a b))", "|a|, |b| < 1, as for the original"),
    "erf": Law("erf(a) - erf(b) = integral of its derivative from b to a", "always"),
    "erfc": Law("erfc(a) - erfc(b) = integral of its derivative from b to a", "always"),
    "lgamma": Law("lgamma(a) - lgamma(b) by Stirling's series and the recurrence", "a, b > 0, else as it is"),
    "digamma": Law("digamma(a) - digamma(b) by Stirling's series and the recurrence", "a, b > 0, else as it is"),
    "pow": Law("a**k - b**k = b**k expm1(k log1p((a - b) / b))", "a, b > 0, else as it is"),
}
"""f(a) - f(b) for each primitive f."""

NORMS = Law("|a| - |b| = (a**2 - b**2) / (|a| + |b|)", "a != 0 or b != 0; 0 where both are 0")
BETA = Law("lgamma(a + b - e) - lgamma(a) - lgamma(b) by Stirling's series", "a, b > 0, else as it is")
EXPM1 = Law("exp(a) - 1 = expm1(a)", "always")
CONSTANT = Law("f(a) - r = f(a) - f(b) with f(b) = r to twice the digits", "always")
LOGISTIC = Law("1 - sigmoid(a) = sigmoid(-a)", "always")
HALF = Law("sigmoid(a) - 1/2 = tanh(a/2) / 2", "always")
SOFTPLUS_ABOVE = Law("softplus(a) - max(a, 0) = softplus(-|a|)", "always")
TANH = Law("1 - tanh(a) = 2 sigmoid(-2 a)", "always")
COS = Law("1 - cos(a) = 2 sin(a/2)**2, 1 + cos(a) = 2 cos(a/2)**2", "always")
SIN = Law("1 - sin(a) = 2 sin((pi/2 - a)/2)**2", "always")
ATAN = Law("pi/2 - atan(a) = atan2(1, a)", "always")
COSH = Law("cosh(a) - 1 = 2 sinh(a/2)**2", "always")
ERFC = Law("1 - erf(a) = erfc(a)", "always")
ERF = Law("1 - erfc(a) = erf(a)", "always")
PYTHAGORAS = Law("1 - sin(a)**2 = cos(a)**2, cosh(a)**2 - 1 = sinh(a)**2", "always")
DOUBLE = Law("cos(a)**2 - sin(a)**2 = cos(2 a)", "always")
SECH = Law("1 - tanh(a)**2 = 4 sigmoid(2 a) sigmoid(-2 a)", "always")
SINH2 = Law("exp(a) + exp(-a) - 2 = 4 sinh(a/2)**2", "always")
SINH = Law("exp(a) - exp(-a) = 2 sinh(a)", "always")
POWER = Law("a**k - 1 = expm1(k log(a))", "a > 0, else as it is")
REMAINDER = Law("f(a) minus the first terms of its Taylor series = the rest of the series", "always")
LOG_REST = Law(
    "log(a) - (a**k - 1)/k = (log(b) - (b - 1))/k for b = a**k, the rest of a series", "a > 0, as for the original"
)
LOG_SLOPE = Law("log(1 + a) - a/(1 + a) = (b - 1) - log(b) for b = 1/(1 + a)", "a > -1, as for the original")
OVER_EXPM1 = Law("exp(a) / (exp(a) - 1) = -1 / expm1(-a)", "a != 0, as for the original")
BOSE = Law("1 / (exp(a) - 1), its derivative -exp(a) / (exp(a) - 1)**2 without overflow", "a != 0, as for the original")
TANH_QUOTIENT = Law("(exp(a) - exp(b)) / (exp(a) + exp(b)) = tanh((a - b)/2)", "always")
POWERS = Law("a**b / a**c = a**(b - c)", "a != 0, as for the original")
RATIO = Law("(exp(2 a) - 1) / (exp(a) - 1) = exp(a) + 1", "a != 0, as for the original")
LOG1P = Law("log(a) = log1p(a - 1)", "a > 0, as for the original")
UNIT = Law("a / |a| = (a / s) / |a / s|", "a != 0, as for the original")
LOG_RATIO = Law("log(a / b) = log1p((a - b) / b)", "a / b > 0, as for the original")
ASINH = Law("log(a + sqrt(a**2 + 1)) = asinh(a)", "always")
ACOSH = Law("log(a + sqrt(a**2 - 1)) = acosh(a)", "a >= 1, as for the original")
