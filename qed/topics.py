"""The topics of the textbook that qed answers to, in four chapters: the mathematics, the verb, the page.

One table, three readers: `qed explain` without an argument, docs/why/index.md and the README's
table.  A topic has a page when docs/why/SLUG.md exists; a verb is there when it is in `BUILT`,
otherwise it is shown as planned.
"""

from dataclasses import dataclass

BUILT = frozenset(
    {
        "LinearSVC",
        "SVC",
        "backprop",
        "check_gradient",
        "convexity",
        "critical_point",
        "derive",
        "enclose",
        "expect",
        "kl",
        "lipschitz",
        "logspace",
        "measures",
        "minimize",
        "minimize_globally",
        "normalizer",
        "probability",
        "rate",
        "spectrum",
        "stabilize",
        "step_size",
        "taylor",
        "why",
    }
)
"""The verbs of the table below that this version answers."""


@dataclass(frozen=True)
class Topic:
    """One line of the textbook: its name, its formula in plain characters, and the verbs that do it."""

    name: str
    formula: str
    verbs: tuple[str, ...]

    @property
    def slug(self) -> str:
        """The name as a file name: 'learning rate' -> 'learning-rate'."""
        return slug(self.name)


@dataclass(frozen=True)
class Chapter:
    """A chapter of the table: a title and its topics."""

    title: str
    topics: tuple[Topic, ...]


def slug(text: str) -> str:
    """The spelling under which a topic is found: case, spaces, underscores and hyphens do not matter.

    >>> slug("Learning_Rate"), slug("log sum  exp")
    ('learning-rate', 'log-sum-exp')
    """
    return "-".join(text.lower().replace("_", " ").replace("-", " ").split())


CHAPTERS = (
    Chapter(
        "Calculus",
        (
            Topic("derivative", "f'(x) = lim (f(x + h) - f(x)) / h  as h → 0", ("derive", "enclose", "lipschitz")),
            Topic("rules of differentiation", "(f g)' = f' g + f g',  (f ∘ g)' = (f' ∘ g) g'", ("derive",)),
            Topic("gradient", "∇f = (∂f/∂x₁, ..., ∂f/∂xₙ)", ("check_gradient",)),
            Topic("steepest ascent", "max of ∇f · d over |d| = 1  is  |∇f|", ("derive", "minimize")),
            Topic("critical point", "∇f(x) = 0", ("critical_point",)),
            Topic("second-derivative test", "∇f = 0 and all λ(H) > 0  ⇒  minimum", ("critical_point",)),
            Topic("hessian", "Hᵢⱼ = ∂²f / ∂xᵢ ∂xⱼ", ("spectrum",)),
            Topic("convexity", "f(t x + (1-t) y) ≤ t f(x) + (1-t) f(y)", ("convexity",)),
            Topic("backpropagation", "x̄ = Σ ȳ ∂y/∂x  over the uses y of x", ("backprop",)),
            Topic("automatic differentiation", "D(f ∘ g)(x) = Df(g(x)) Dg(x), by machine", ("backprop",)),
            Topic("taylor series", "f(a + h) = Σ f⁽ᵏ⁾(a) hᵏ/k! + R(h)", ("taylor",)),
        ),
    ),
    Chapter(
        "Optimization",
        (
            Topic("gradient descent", "w ← w - η ∇f(w)", ("why", "minimize")),
            Topic("learning rate", "η < 2 / λmax(H)", ("why", "step_size")),
            Topic("stochastic gradient descent", "w ← w - η g,  E g = ∇f(w)", ("rate",)),
            Topic("mini-batch", "variance of g = σ² / batch size", ("rate",)),
            Topic("momentum", "m ← β m + ∇f,  w ← w - η m,  η < 2 (1 + β) / λmax", ("why", "step_size")),
            Topic("convergence rate", "|w_k - w*| ≤ C ρᵏ", ("rate",)),
            Topic("newton", "w ← w - H⁻¹ ∇f", ("minimize",)),
            Topic("l-bfgs", "B s = y:  H guessed from the last steps", ("minimize",)),
            Topic("lagrange multipliers", "∇f = y ∇c,  y = df*/db", ("minimize",)),
            Topic("svm", "min |w|²/2 + C Σ max(0, 1 - yᵢ (w · xᵢ + b))", ("SVC", "LinearSVC")),
            Topic("log-sum-exp", "log Σ exp(zᵢ) = m + log Σ exp(zᵢ - m),  m = max z", ("why", "stabilize")),
        ),
    ),
    Chapter(
        "Integration",
        (
            Topic("expectation", "E f = ∫ f dP", ("expect",)),
            Topic("probability", "P(A) = ∫ 1_A dP", ("probability",)),
            Topic("normalising constant", "Z = ∫ exp(log p̃(x)) dx", ("normalizer",)),
            Topic("kl divergence", "KL(p, q) = ∫ p log(p / q)", ("kl",)),
            Topic("lebesgue integral", "∫ f dμ = ∫ μ(f > t) dt  for f ≥ 0", ("measures",)),
        ),
    ),
    Chapter(
        "Gotchas",
        (
            Topic("local minima", "∇f(x) = 0 does not say f(x) = min f", ("minimize_globally",)),
            Topic("log space", "Π pᵢ underflows,  Σ log pᵢ does not", ("logspace",)),
            Topic("hessian size", "n² entries; H v costs a few gradients", ("why", "spectrum")),
            Topic("numerical gradient check", "(f(x + h) - f(x - h)) / 2h ≈ f'(x)", ("check_gradient",)),
            Topic("chain rule errors", "a rule, but not of its function", ("check_gradient",)),
        ),
    ),
)

TOPICS = {topic.slug: topic for chapter in CHAPTERS for topic in chapter.topics}
"""Every topic under its slug, in the order of the chapters."""


def verbs(topic: Topic) -> str:
    """The verbs of a topic as text, the ones that are not built yet marked as planned.

    >>> verbs(TOPICS["learning-rate"])
    'qed.why, qed.step_size'
    >>> verbs(Topic("a name", "a formula", ("why", "a verb of tomorrow")))
    'qed.why; planned: qed.a verb of tomorrow'
    """
    built = ", ".join(f"qed.{verb}" for verb in topic.verbs if verb in BUILT)
    planned = ", ".join(f"qed.{verb}" for verb in topic.verbs if verb not in BUILT)
    return "; ".join(part for part in (built, planned and f"planned: {planned}") if part)
