"""qed.kl, qed.entropy, qed.cross_entropy: closed forms, near-equal laws, infinite ones, bad input."""

import itertools
import math
from dataclasses import fields, replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

import qed
from qed.certificates.curvature_integral import by_bregman, by_curvature
from qed.certificates.divergence import Divergence
from qed.domains import closed_forms
from qed.domains.densities import NAMED
from qed.domains.masses import LOG_MASS, log_mass
from qed.domains.precision import precision
from qed.errors import CertificateError, QedError
from qed.integration import measures as m
from qed.integration.comparison import Comparison
from qed.integration.quadrature import vectorised

LAWS = {
    "Normal": ((0.0, 1.0), (0.3, 1.2), (-2.0, 0.5), (5.0, 3.0)),
    "Gamma": ((2.0, 3.0), (2.5, 2.0), (0.7, 1.0), (9.0, 4.0)),
    "Exponential": ((1.0,), (1.3,), (0.2,)),
    "Beta": ((2.0, 3.0), (1.5, 1.1), (4.0, 2.5), (0.8, 0.9)),
}
SCIPY = {
    "Normal": lambda mean, scale: stats.norm(mean, scale),
    "Gamma": lambda shape, rate: stats.gamma(shape, scale=1 / rate),
    "Exponential": lambda rate: stats.expon(scale=1 / rate),
    "Beta": stats.beta,
}
KINDS = (("Normal",), ("Gamma", "Exponential"), ("Beta",))
PAIRS = [
    ((a, p), (b, q)) for kind in KINDS for a in kind for p in LAWS[a] for b in kind for q in LAWS[b] if (a, p) != (b, q)
]


OTHER = {"Laplace moved": (1.0, 0.5), "Cauchy moved": (1.0, 3.0), "Uniform wide": (0.0, 1.0)}
MORE = {
    "Laplace": stats.laplace,
    "StudentT": stats.t,
    "Cauchy": stats.cauchy,
    "Uniform": lambda lower, upper: stats.uniform(lower, upper - lower),
    "HalfCauchy": lambda scale: stats.halfcauchy(scale=scale),
    "HalfNormal": lambda scale: stats.halfnorm(scale=scale),
    "InverseGamma": lambda shape, rate: stats.invgamma(shape, scale=rate),
    "LogNormal": lambda mean, scale: stats.lognorm(scale, scale=math.exp(mean)),
    "Logistic": stats.logistic,
    "Pareto": lambda shape, lower: stats.pareto(shape, scale=lower),
    "Weibull": lambda shape, scale: stats.weibull_min(shape, scale=scale),
}


def both(name, parameters):
    return (SCIPY.get(name) or MORE[name])(*parameters)


def law(one):
    return getattr(m, one[0])(*one[1])


def test_there_are_sixty_pairs():
    assert len(PAIRS) >= 60


@pytest.mark.parametrize(("p", "q"), PAIRS, ids=lambda one: one[0] + str(one[1]))
def test_closed_forms_agree_with_quadrature(p, q):
    first, second = SCIPY[p[0]](*p[1]), SCIPY[q[0]](*q[1])

    def integrand(x):
        return np.exp(first.logpdf(x)) * (first.logpdf(x) - second.logpdf(x))

    with np.errstate(all="ignore"):
        value = integrate.tanhsinh(integrand, first.ppf(1e-30), first.isf(1e-30), rtol=1e-9).integral
    with precision(384):
        ball = by_bregman(p, q)
    assert float(ball) == pytest.approx(value, rel=1e-6)
    assert float(ball) > 0


@pytest.mark.parametrize("family", LOG_MASS)
def test_masses_agree_with_quadrature(family):
    parameters = MEMBERS[family]
    density = NAMED[family]
    lower, upper = density.support(*parameters)
    u = vectorised(density.traced(parameters), 0)
    cut = 0.25 if lower < 0.25 < upper else lower + 0.25
    with np.errstate(all="ignore"):
        halves = [integrate.tanhsinh(lambda x: np.exp(u(x)), *ends).integral for ends in ((lower, cut), (cut, upper))]
    with precision(64):
        assert math.log(sum(halves)) == pytest.approx(float(log_mass(family, parameters)), abs=1e-9)


NEAR = [(name, parameters, k) for name in LAWS for parameters in LAWS[name][:2] for k in range(len(parameters))]


@pytest.mark.parametrize(("name", "parameters", "k"), NEAR, ids=str)
def test_near_equal_members_keep_their_digits(name, parameters, k):
    for distance in (1.0, 1e-4, 1e-8):
        moved = tuple(x + distance * (i == k) for i, x in enumerate(parameters))
        answer = qed.kl(law((name, parameters)), law((name, moved)))
        with precision(1024):
            truth = by_bregman((name, parameters), (name, moved), 1024)
            off = abs(truth - answer.value) / truth
            assert answer.proved and answer.value > 0 and float(off.upper()) < 1e-13
            assert truth > answer.lower and truth < answer.upper


def test_the_curvature_is_the_difference():
    for p, q in (PAIRS[0], PAIRS[-1]):
        with precision(320):
            assert by_bregman(p, q).overlaps(by_curvature(p, q))


def test_normal_law_at_a_tiny_distance():
    answer = qed.kl(m.Normal(), m.Normal(1e-8))
    assert answer.value == pytest.approx(5e-17, rel=1e-14) and answer.check()


INFINITE = {
    "atom": (m.Bernoulli(0.5), m.Dirac(0.0), "QED605"),
    "atom under a density": (m.Dirac(0.0), m.Normal(), "QED606"),
    "density over atoms": (m.Normal(), m.Binomial(3, 0.5), "QED605"),
    "shifted": (m.Uniform(), m.Uniform(0.5, 1.5), "QED605"),
    "disjoint": (m.Uniform(), m.Uniform(2.0, 3.0), "QED605"),
    "half line": (m.Normal(), m.Exponential(), "QED605"),
    "part of a mixture": (m.mixture([0.9, 0.1], [m.Uniform(), m.Uniform(2, 3)]), m.Uniform(), "QED605"),
    "hole": (m.Uniform(0, 3), m.mixture([0.5, 0.5], [m.Uniform(0, 1), m.Uniform(2, 3)]), "QED605"),
}


@pytest.mark.parametrize("name", INFINITE)
def test_supports_prove_infinity(name):
    p, q, code = INFINITE[name]
    for verb in (qed.kl, qed.cross_entropy):
        answer = verb(p, q)
        assert answer.proved and answer.value == math.inf and answer.check()
        assert [finding.code for finding in answer.findings] == [code]


@pytest.mark.slow
@pytest.mark.parametrize("q", [m.Normal(1.0, 3.0), m.Laplace()], ids=str)
def test_tails_prove_infinity(q):
    answer = qed.kl(m.Cauchy(), q)
    assert answer.proved and answer.value == math.inf and answer.check()


UNLIKE = {
    "Normal, Cauchy": (m.Normal(), m.Cauchy(), stats.norm(), stats.cauchy()),
    "Student": (m.StudentT(3.0), m.StudentT(5.0, 1.0, 2.0), stats.t(3.0), stats.t(5.0, 1.0, 2.0)),
    "Exponential, Cauchy": (m.Exponential(), m.Cauchy(), stats.expon(), stats.cauchy()),
}
SLOW = ("Student",)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in UNLIKE])
def test_unlike_laws_against_quadrature(name):
    p, q, first, second = UNLIKE[name]
    answer = qed.kl(p, q)
    levels = (lambda u: first.logpdf(first.ppf(u)) - second.logpdf(first.ppf(u)), 0.0, 1.0)
    truth, error = integrate.quad(*levels, epsabs=1e-11, limit=500, points=[0.5])
    assert not answer.unknown, answer.missing
    assert answer.lower - 10 * error <= truth <= answer.upper + 10 * error
    assert answer.value == pytest.approx(truth, rel=1e-6)


MEMBERS = {
    "Normal": (0.5, 1.5),
    "Laplace": (0.25, 0.75),
    "StudentT": (5.0, 0.5, 2.0),
    "Cauchy": (0.5, 2.0),
    "Exponential": (1.5,),
    "Gamma": (2.5, 2.0),
    "Beta": (2.0, 3.0),
    "Uniform": (0.25, 0.75),
    "HalfCauchy": (1.5,),
    "HalfNormal": (1.5,),
    "InverseGamma": (3.5, 2.0),
    "LogNormal": (0.25, 0.5),
    "Logistic": (0.25, 0.75),
    "Pareto": (4.5, 0.5),
    "Weibull": (2.5, 1.5),
}


def member(name):
    return name.split()[0], OTHER.get(name) or MEMBERS[name]


def has_a_closed_form(a, b):
    """Whether q has a density wherever p has one, and the divergence a closed form."""
    p, q = member(a), member(b)
    ends = [NAMED[name].support(*parameters) for name, parameters in (p, q)]
    with precision(64):
        return p != q and ends[1][0] <= ends[0][0] and ends[0][1] <= ends[1][1] and closed_forms.divergence(p, q)


CLOSED = [(a, b) for a in MEMBERS for b in (*MEMBERS, *OTHER) if has_a_closed_form(a, b)]


def test_there_are_twenty_pairs_of_unlike_laws():
    assert len(CLOSED) >= 20


@pytest.mark.parametrize(("a", "b"), CLOSED, ids=str)
def test_closed_forms_of_unlike_laws_agree_with_quadrature(a, b):
    p, q = member(a), member(b)
    with precision(128):
        ball = closed_forms.divergence(p, q)
        entropy, cross = closed_forms.cross_entropy(p, p), closed_forms.cross_entropy(p, q)
    first, second = both(*p), both(*q)

    def integral(f):
        lower, upper = NAMED[p[0]].support(*p[1])
        cuts = [lower, *(c for c in (0.0, 0.25, 0.5, 2.0) if lower < c < upper), upper]
        with np.errstate(all="ignore"):
            pieces = [integrate.tanhsinh(f, *ends, rtol=1e-10).integral for ends in itertools.pairwise(cuts)]
        return sum(pieces)

    weight = lambda x: np.exp(first.logpdf(x))  # noqa: E731
    assert float(ball) == pytest.approx(
        integral(lambda x: weight(x) * (first.logpdf(x) - second.logpdf(x))), rel=1e-6, abs=1e-9
    )
    assert float(entropy) == pytest.approx(first.entropy(), rel=1e-9, abs=1e-9)
    if cross is not None:
        assert float(ball + entropy) == pytest.approx(float(cross), rel=1e-12)


def test_near_equal_laws_with_closed_forms_keep_their_digits():
    h = 1e-8
    for p, q, truth in (
        (m.Cauchy(), m.Cauchy(h), h * h / 4),
        (m.Laplace(), m.Laplace(h), h * h / 2),
        (m.Laplace(), m.Laplace(0.0, 1 + h), ((1 + h) - 1) ** 2 / 2),
    ):
        answer = qed.kl(p, q)
        assert answer.proved and answer.check() and answer.value == pytest.approx(truth, rel=3e-8)


def test_the_integral_in_balls_and_the_closed_form_agree():
    answer = qed.kl(m.Laplace(), m.Normal())
    again = Comparison.of(m.Laplace(), m.Normal(), True, "again")._by_integrals()
    assert again.proved and again.lower < answer.value < again.upper


def test_laws_of_vectors():
    rng = np.random.default_rng(0)
    p, q = (rng.dirichlet(np.ones(5)) for _ in range(2))
    r, s = (rng.dirichlet(np.ones(3)) for _ in range(2))
    assert qed.kl(p, q).value == pytest.approx(special.rel_entr(p, q).sum(), rel=1e-13)
    assert qed.kl(p, p).value == 0 and qed.kl(p, p).check()
    chained = qed.kl(np.outer(p, r).ravel(), np.outer(q, s).ravel()).value
    assert chained == pytest.approx(qed.kl(p, q).value + qed.kl(r, s).value, rel=1e-12)
    assert qed.cross_entropy(p, q).value == pytest.approx(qed.entropy(p).value + qed.kl(p, q).value, rel=1e-13)
    order = rng.permutation(5)
    assert qed.kl(p[order], q[order]).value == pytest.approx(qed.kl(p, q).value, rel=1e-13)
    assert qed.kl(np.float32([0.25, 0.75]), jnp.array([0.5, 0.5])).proved
    near = qed.kl([0.5, 0.5], [0.5 + 1e-9, 0.5 - 1e-9]).value
    assert near == pytest.approx(2e-18, rel=1e-7)


def test_change_of_variable():
    here = qed.kl(m.Normal(0.0, 1.0), m.Normal(1.0, 2.0)).value
    there = qed.kl(m.Normal(1.0, 4.0), m.Normal(5.0, 8.0)).value
    assert here == pytest.approx(there, rel=1e-14)


def test_atoms_and_a_density_together():
    p = m.mixture([0.25, 0.75], [m.Dirac(0.0), m.Normal()])
    q = m.mixture([0.5, 0.5], [m.Dirac(0.0), m.Normal(1.0)])
    truth = 0.25 * math.log(0.5) + 0.75 * (math.log(1.5) + 0.5)
    answer = qed.kl(p, q)
    assert answer.proved and answer.value == pytest.approx(truth, rel=1e-13)
    assert answer.lower <= truth <= answer.upper


@pytest.mark.parametrize(
    ("p", "truth"),
    [(m.Normal(0.0, 2.0), stats.norm(0, 2).entropy()), (m.Binomial(10, 0.3), stats.binom(10, 0.3).entropy())],
    ids=str,
)
def test_entropies(p, truth):
    answer = qed.entropy(p)
    assert answer.proved and answer.value == pytest.approx(truth, rel=1e-8)


def test_a_law_by_its_log_density():
    answer = qed.kl(m.from_log_density(lambda x: -x * x / 2), m.Normal(1.0, 1.0))
    assert answer.proved and answer.lower <= 0.5 <= answer.upper


def test_a_law_outside_the_support_is_never_finite():
    answer = qed.kl(m.from_log_density(lambda x: -x * x / 2, -1.0, 2.0), m.Uniform(0.0, 1.0))
    assert answer.proved and answer.value == math.inf and answer.check()


def test_what_is_no_law_has_no_divergence():
    flat = m.from_log_density(lambda x: 0 * x)
    for p, q in ((flat, m.Uniform()), (m.Uniform(), flat)):
        assert qed.kl(p, q).unknown


@pytest.mark.slow
def test_a_sliver_where_q_is_zero_is_seen():
    holed = m.from_log_density(lambda x: jnp.where((x > 0.3) & (x < 0.301), -jnp.inf, 0.0), 0.0, 1.0)
    answer = qed.kl(m.Uniform(), holed)
    assert answer.unknown or answer.value == math.inf


def test_many_atoms_and_far_parameters():
    answer = qed.kl(m.Binomial(400, 0.3), m.Binomial(400, 0.4))
    truth = 400 * (0.3 * math.log(0.3 / 0.4) + 0.7 * math.log(0.7 / 0.6))
    assert answer.proved and answer.value == pytest.approx(truth, rel=1e-12)
    assert qed.kl(m.Normal(0.0, 1e-150), m.Normal(1e150, 1e150)).value is None


@pytest.mark.slow
def test_a_mixture_is_measured():
    p, q = (m.mixture([w, 1 - w], [m.Normal(-1.0, 1.0), m.Normal(1.0, 1.0)]) for w in (0.3, 0.6))

    def log_density(w, x):
        return np.logaddexp(math.log(w) + stats.norm.logpdf(x, -1), math.log(1 - w) + stats.norm.logpdf(x, 1))

    truth, _ = integrate.quad(
        lambda x: np.exp(log_density(0.3, x)) * (log_density(0.3, x) - log_density(0.6, x)), -15, 15, epsabs=1e-12
    )
    answer = qed.kl(p, q)
    assert not answer.unknown and answer.lower - 1e-10 <= truth <= answer.upper + 1e-10 and answer.lower > 0


GRID = np.linspace(-6.0, 6.0, 61)
MISTAKES = [
    ("QED601", [0.5, 0.6], [0.5, 0.5]),
    ("QED601", [1.0, -0.5, 0.5], [0.2, 0.3, 0.5]),
    ("QED601", [3, 5, 2], [1, 4, 5]),
    ("QED601", m.Normal(), m.Lebesgue(0.0, 1.0)),
    ("QED602", np.log([0.5, 0.5]), np.log([0.25, 0.75])),
    ("QED602", [0.5, 0.5], np.log([0.25, 0.75])),
    (
        "QED603",
        m.from_log_density(lambda x: jnp.exp(-x * x / 2) / jnp.sqrt(2 * jnp.pi)),
        m.Normal(),
    ),
    ("QED604", np.log([0.25, 0.75]), [0.5, 0.5]),
    ("QED606", stats.norm.pdf(GRID), stats.norm.pdf(GRID, 0.5)),
    ("QED007", [0.5, 0.5], [0.2, 0.3, 0.5]),
    ("QED007", [[0.5, 0.5]], [[0.5, 0.5]]),
    ("QED007", [], []),
    ("QED007", [np.nan, 1.0], [0.5, 0.5]),
    ("QED007", [0.5j, 0.5], [0.5, 0.5]),
    ("QED007", "p", [0.5, 0.5]),
    ("QED007", lambda x: x, m.Normal()),
]


@pytest.mark.parametrize(("code", "p", "q"), MISTAKES, ids=lambda one: one if isinstance(one, str) else "law")
def test_mistakes_have_their_codes(code, p, q):
    with pytest.raises(QedError) as caught:
        qed.kl(p, q)
    assert caught.value.code == code


HEALTHY = [
    ([0.5, 0.5], [0.25, 0.75]),
    ([1.0, 0.0], [0.5, 0.5]),
    (np.float32([0.1] * 10), np.full(10, 0.1)),
    (stats.norm.pdf(GRID) / stats.norm.pdf(GRID).sum(), np.full(61, 1 / 61)),
    (m.from_log_density(lambda x: -x - 0.9, 0.0, math.inf), m.Exponential(2.0)),
    (m.from_log_density(lambda x: 0.5 * x, 0.0, 1.0), m.Uniform()),
    (m.Dirac(0.0), m.Bernoulli(0.25)),
]


@pytest.mark.parametrize(("p", "q"), HEALTHY, ids=lambda one: "law")
def test_healthy_twins_are_silent(p, q):
    answer = qed.kl(p, q)
    assert not answer.unknown and answer.findings == () and 0 <= answer.value < math.inf


def _altered(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return value + 0.125
    if isinstance(value, str):
        return value + "1"
    return (*map(_altered, value),) if value else (("0.5", "1"),)


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (m.mixture([0.25, 0.75], [m.Dirac(0.0), m.Normal()]), m.mixture([0.5, 0.5], [m.Dirac(0.0), m.Normal(1.0)])),
        (m.Uniform(), m.Normal()),
        (m.Exponential(), m.Cauchy()),
    ],
    ids=["family", "closed", "integral"],
)
def test_an_altered_certificate_is_refused(p, q):
    certificate = qed.kl(p, q).certificate
    assert certificate.verify()
    names = ["ratio", "p_parts", "q_parts", "lower", "function"]
    names += ["p_atoms", "q_atoms"] if certificate.p_atoms else ["constants"]
    for name in names:
        forged = replace(certificate, **{name: _altered(getattr(certificate, name))}).sealed()
        with pytest.raises(CertificateError):
            forged.verify()
    with pytest.raises(CertificateError):
        replace(certificate, lower=math.inf, upper=math.inf).sealed().verify()
    with pytest.raises(CertificateError):
        replace(certificate, lower=certificate.upper * 1.01, upper=certificate.upper * 1.02).sealed().verify()


@pytest.mark.slow
def test_the_integrand_of_a_log_density_is_made_again():
    """What the function says first is not believed: the same number as a cross-entropy is refused."""
    certificate = qed.kl(m.from_log_density(lambda x: -x * x), m.Laplace()).certificate
    assert certificate.verify()
    for changed in ({"ratio": False}, {"constants": ()}, {"p_parts": (("", (), (), "1"),)}):
        with pytest.raises(CertificateError):
            replace(certificate, **changed).sealed().verify()


def test_a_law_that_the_rules_have_no_number_for_is_bounded():
    """The tail of a reweighted law, in float64 0 times infinity: what balls say has bounds that hold."""
    answer = qed.kl(m.reweight(m.Exponential(0.1), lambda x: x / 16), m.Exponential(0.1))
    assert answer.proved and answer.check()
    assert answer.lower <= math.log(0.375) + 0.1 / 0.0375 - 1 <= answer.upper


def test_parameters_are_not_rounded_to_the_dtype_of_the_argument():
    """In float32 the numbers 0.1 and 0.3 are others, and so is the divergence."""
    certificate = qed.kl(m.from_log_density(lambda x: -x * x / 2), m.Normal(0.1, 0.3)).certificate
    assert certificate.lower <= math.log(0.3) + 1.01 / 0.18 - 0.5 <= certificate.upper
    rounded = replace(certificate.subject, at=np.float32(0.5), x64=False)
    kept = {f.name: getattr(certificate, f.name) for f in fields(certificate)}
    for name in ("function", "x64", "seal", "subject"):
        del kept[name]
    with pytest.raises(CertificateError, match="dtype"):
        Divergence.made(rounded, **kept).verify()


@pytest.mark.parametrize(
    "ask",
    [
        lambda: qed.entropy(m.StudentT(3.0, 0.0, 1.0)),
        lambda: qed.entropy(m.Beta(0.5, 0.5)),
        lambda: qed.kl(m.Normal(0.25, 1.25), m.Laplace(0.0, 1.0)),
    ],
)
def test_a_wrong_formula_is_contradicted_by_the_integral(ask, monkeypatch):
    right = closed_forms.cross_entropy
    assert ask().proved
    monkeypatch.setattr(closed_forms, "cross_entropy", lambda p, q: right(p, q) * 1.25 + 0.25)
    assert not ask().proved
