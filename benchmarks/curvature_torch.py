"""The networks of benchmarks/curvature_models.py for PyTorch, and what curvlinops and PyHessian find of them.

PyHessian 0.1 runs its power iteration on today's PyTorch as it is. Its density asks for `torch.eig`, which was removed:
here that name is given back, as the eigenvectors of a symmetric matrix (`mend`), and the result is named mended.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HEADS = 4


class Perceptron(nn.Module):
    def __init__(self, w: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.w = nn.ParameterDict({name: nn.Parameter(torch.tensor(a)) for name, a in w.items()})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(x @ self.w["W0"] + self.w["b0"])
        x = F.relu(x @ self.w["W1"] + self.w["b1"])
        return x @ self.w["W2"] + self.w["b2"]


class Convolutional(nn.Module):
    def __init__(self, w: dict[str, np.ndarray]) -> None:
        super().__init__()
        turned = {n: a.transpose(3, 2, 0, 1).copy() if a.ndim == 4 else a for n, a in w.items()}
        self.w = nn.ParameterDict({name: nn.Parameter(torch.tensor(a)) for name, a in turned.items()})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i in range(3):
            x = F.relu(F.conv2d(x, self.w[f"W{i}"], self.w[f"b{i}"], padding=1))
            x = F.avg_pool2d(x, 2) if i < 2 else x.mean((2, 3))
        return x @ self.w["W3"] + self.w["b3"]


class Transformer(nn.Module):
    def __init__(self, w: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.layers = sum(name.endswith("qkv") for name in w)
        self.w = nn.ParameterDict({n.replace(".", "_"): nn.Parameter(torch.tensor(a)) for n, a in w.items()})

    def normalised(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], self.w[f"{name}_scale"], self.w[f"{name}_shift"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w = self.w
        x = w["token"][x] + w["place"]
        n, t, width = x.shape
        mask = torch.tril(torch.ones(t, t, dtype=torch.bool))
        for i in range(self.layers):
            heads = (self.normalised(x, f"{i}_a") @ w[f"{i}_qkv"]).reshape(n, t, 3, HEADS, width // HEADS)
            q, k, v = (heads[:, :, j].transpose(1, 2) for j in range(3))
            scores = (q @ k.transpose(2, 3) / (width // HEADS) ** 0.5).masked_fill(~mask, -torch.inf)
            x = x + (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, width) @ w[f"{i}_out"]
            x = x + F.gelu(self.normalised(x, f"{i}_b") @ w[f"{i}_up"]) @ w[f"{i}_down"]
        return (self.normalised(x, "last") @ w["head"]).flatten(0, 1)


MODULES = {"perceptron": Perceptron, "convolutional": Convolutional, "transformer": Transformer}


class Peer:
    """A network in PyTorch with its data; vectors are its parameters laid end to end.

    Args:
        name: the network.
        weights: name -> array as JAX has them.
        x, y: data as JAX has them.
    """

    def __init__(self, name: str, weights: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> None:
        self.model = MODULES[name](weights)
        self.params = list(self.model.parameters())
        self.y = torch.tensor(y.astype(np.int64)).flatten()
        self.x = torch.tensor(x.astype(np.int64) if x.dtype.kind == "i" else x)
        if self.x.ndim == 4:
            self.x = self.x.permute(0, 3, 1, 2).contiguous()
        self.criterion = nn.CrossEntropyLoss()
        self.names = list(weights)

    def loss(self) -> torch.Tensor:
        return self.criterion(self.model(self.x), self.y)

    def gradient(self) -> list[torch.Tensor]:
        return list(torch.autograd.grad(self.loss(), self.params))

    def product(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """The product as PyTorch's best form has it: linearised once, forward over reverse."""
        params = dict(self.model.named_parameters())

        def value(p: Any) -> torch.Tensor:
            return self.criterion(torch.func.functional_call(self.model, p, (self.x,)), self.y)

        held = {n: p.detach() for n, p in params.items()}
        _, push = torch.func.linearize(torch.func.grad(value), held)
        shapes = [(n, p.shape, p.numel()) for n, p in held.items()]

        def product(v: torch.Tensor) -> torch.Tensor:
            parts = torch.split(v, [size for *_, size in shapes])
            found = push({n: part.reshape(s) for (n, s, _), part in zip(shapes, parts, strict=True)})
            return torch.cat([found[n].flatten() for n, *_ in shapes])

        return product


def residuals(peer: Peer, values: Any, vectors: Any) -> list[float]:
    """|H v - l v| / |l| of unit vectors, from fresh products in PyTorch."""
    product = peer.product()
    found = []
    for value, v in zip(values, vectors, strict=True):
        v = torch.as_tensor(np.asarray(v), dtype=torch.float32)
        v = v / v.norm()
        found.append(float((product(v) - float(value) * v).norm()) / abs(float(value)))
    return found


def curvlinops(peer: Peer, k: int) -> dict[str, Any]:
    """The k largest eigenvalues by curvlinops and ARPACK, to a relative residual of 1e-3."""
    from curvlinops import HessianLinearOperator
    from scipy.sparse.linalg import LinearOperator, eigsh

    begun = time.process_time()
    operator = HessianLinearOperator(
        peer.model, peer.criterion, peer.params, [(peer.x, peer.y)], check_deterministic=False,
        batch_size_fn=lambda x: len(x) if x.dtype.is_floating_point else x.numel(), num_data=len(peer.y),
    )  # fmt: skip
    inner, count = operator.to_scipy(), [0]

    def product(v: np.ndarray) -> np.ndarray:
        count[0] += 1
        return inner @ v.astype(np.float32).ravel()

    n = inner.shape[0]
    start = np.random.default_rng(0).standard_normal(n).astype(np.float32)
    values, vectors = eigsh(LinearOperator((n, n), product, dtype=np.float32), k=k, which="LM", tol=1e-3, v0=start)
    seconds = time.process_time() - begun
    order = np.argsort(-np.abs(values))
    found = residuals(peer, values[order], vectors.T[order])
    return {"seconds": seconds, "products": count[0], "values": values[order].tolist(), "residual": max(found)}


warnings.filterwarnings("ignore", message="Using backward")  # PyHessian keeps the graph in .grad; `_forget` drops it


def mend() -> bool:
    """Give `torch.eig` back, of symmetric matrices; whether it was missing."""

    def eig(matrix: torch.Tensor, eigenvectors: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
        values, vectors = torch.linalg.eigh(matrix)
        return torch.stack([values, torch.zeros_like(values)], 1), vectors

    missing = not hasattr(torch, "eig") or "removed" in (torch.eig.__doc__ or "removed")
    if missing:
        torch.eig = eig
    return missing


def _counted(count: list[int]) -> None:
    from pyhessian.utils import hessian_vector_product

    def product(*arguments: Any) -> Any:
        count[0] += 1
        return hessian_vector_product(*arguments)

    sys.modules["pyhessian.hessian"].hessian_vector_product = product  # the class hides its module's name


def pyhessian(peer: Peer, k: int) -> dict[str, Any]:
    """The k largest eigenvalues by PyHessian's power iteration, with its default tolerance."""
    from pyhessian import hessian

    count = [0]
    _counted(count)
    torch.manual_seed(0)
    begun = time.process_time()
    found = hessian(peer.model, peer.criterion, data=(peer.x, peer.y), cuda=False)
    values, vectors = found.eigenvalues(top_n=k)
    seconds = time.process_time() - begun
    flat = [torch.cat([p.detach().flatten() for p in v]) for v in vectors]
    worst = max(residuals(peer, values, flat))
    _forget(peer)
    return {"seconds": seconds, "products": count[0], "values": [float(v) for v in values], "residual": worst}


def density(peer: Peer, probes: int, steps: int) -> dict[str, Any]:
    """The density by PyHessian, mended where PyTorch has no `torch.eig`."""
    from pyhessian import hessian

    mended = mend()
    torch.manual_seed(0)
    begun = time.process_time()
    found = hessian(peer.model, peer.criterion, data=(peer.x, peer.y), cuda=False)
    values, weights = found.density(iter=steps, n_v=probes)
    seconds = time.process_time() - begun
    mean = float(np.mean([np.dot(v, w) for v, w in zip(values, weights, strict=True)]))
    _forget(peer)
    return {"seconds": seconds / probes, "probes": probes, "mean": mean, "mended": mended}


def _forget(peer: Peer) -> None:
    """Drop the gradients whose graph PyHessian keeps in the parameters."""
    for p in peer.params:
        p.grad = None
