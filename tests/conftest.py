"""How every test runs: on the CPU, with fixed seeds, warnings as errors, and nothing skipped in CI.

QED_LAW_EXAMPLES scales how many examples a law draws (1 by default; 0.1 is quick, 10 is thorough).
QED_REQUIRE_EXTRAS=1 makes a missing extra an error instead of a reason to skip; .ci/run sets it.
XLA_FLAGS="" compiles as XLA does by itself; unset, with JAX 0.10, the tests compile without its optimizations.
"""

import gc
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Read when JAX is first imported, after this file.  What XLA compiled is kept between runs and shared by parallel
# workers: without its own caches, XLA's key of a program does not depend on the folder.  Where one worker reads what
# another has half written, JAX warns (pyproject.toml ignores that) and compiles.
_CACHE = Path(__file__).resolve().parents[1] / ".pytest_cache" / "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")  # JAX_PLATFORMS=cuda runs them on a GPU
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(_CACHE)
os.environ["JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES"] = "none"
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

# Nearly every program of a test runs once, so that compiling it is what it costs: XLA leaves out its optimizations, and
# the emitters of fusions that take most of its time.  Later versions lack that flag, and abort when they read it; with
# them the tests run as users' programs do, optimized.
if importlib.metadata.version("jaxlib").startswith("0.10."):
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
        " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
    )

OPTIMIZED = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}
"""The compiler_options of jax.jit for the few tests that are about what optimizations do to the last bits."""

EXTRAS = {
    "sklearn": "sklearn",
    "flax": "flax",
    "equinox": "equinox",
    "numpyro": "numpyro",
    "uno": "unopy",
}
"""The module that each extra brings."""

LAW_SCALE = float(os.environ.get("QED_LAW_EXAMPLES", "1"))

settings.register_profile(
    "laws",
    derandomize=True,  # the same examples in every run
    deadline=None,
    database=None,
    max_examples=max(1, round(50 * LAW_SCALE)),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("laws")


def pytest_configure(config):
    if os.environ.get("QED_REQUIRE_EXTRAS") != "1":
        return
    missing = [extra for extra, module in EXTRAS.items() if importlib.util.find_spec(module) is None]
    if missing:
        message = f"QED_REQUIRE_EXTRAS=1 and these extras are not installed: {', '.join(missing)}"
        raise pytest.UsageError(message)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collecting makes hundreds of thousands of objects that stay; none of them is searched for garbage meanwhile."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()  # and none is searched later, over and over
        gc.set_threshold(100_000, 20, 50)


@pytest.fixture(scope="session")
def law_examples():
    """How many examples a law that does not use hypothesis should draw, given the usual number."""
    return lambda usual: max(1, round(usual * LAW_SCALE))


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Objects without a stable text get their argument's name, so that parallel workers agree on the tests."""
    plain = val is None or isinstance(val, str | bytes | bool | int | float | complex | type)
    return None if plain else argname


LONG = frozenset(
    line for line in Path(__file__).with_name("long_tests.txt").read_text("utf-8").splitlines() if line[:1] != "#"
)
"""The tests of long_tests.txt, which are slow without a mark of their own."""


@pytest.hookimpl(tryfirst=True)  # before those that are not asked for are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the long tests; fail where a name holds an address: workers would not agree on it (ids=str does that)."""
    for item in items:
        if item.nodeid in LONG:
            item.add_marker(pytest.mark.slow)
    if moving := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"names of tests differ from run to run: {moving[0]}")
