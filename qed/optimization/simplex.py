"""Weights w >= 0, sum w = 1: the least value of a quadratic function of them, such as the shortest mean of slopes."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def on_simplex(Q: Array, b: Array) -> Array:
    """The least of w'Qw/2 + b'w over w >= 0, sum w = 1, for a positive semidefinite Q, by active sets (Wolfe, 1976).

    >>> on_simplex(np.diag([1.0, 3.0]), np.zeros(2)).round(9).tolist()
    [0.75, 0.25]
    >>> on_simplex(np.eye(2), np.array([0.0, 5.0])).tolist()
    [1.0, 0.0]
    """
    count, trace = len(b), float(np.trace(Q)) / len(b)
    first = int(np.argmin(0.5 * np.diag(Q) + b))
    w, active = np.zeros(count), [first]
    w[first] = 1.0
    for _ in range(10 * count + 50):
        slope = Q @ w + b
        j = int(np.argmin(slope))
        if j in active or slope[j] >= float(w @ slope) - 1e-15 * (trace + float(np.abs(b).max())):
            break
        active.append(j)
        while True:
            m = len(active)
            system = np.ones((m + 1, m + 1))
            system[:m, :m] = Q[np.ix_(active, active)] + 1e-15 * trace * np.eye(m)
            system[m, m] = 0.0
            try:
                wanted = np.linalg.solve(system, np.append(-b[active], 1.0))[:m]
            except np.linalg.LinAlgError:
                return w
            if np.all(wanted > 0):
                w[:] = 0.0
                w[active] = wanted
                break
            now = w[active]
            falls = wanted <= 0
            t = now[falls] / (now[falls] - wanted[falls])
            step = float(np.min(t))
            now = now + step * (wanted - now)
            gone = np.flatnonzero(falls)[int(np.argmin(t))]
            now[gone] = 0.0
            w[active] = np.maximum(now, 0.0)
            del active[gone]
    return w / w.sum()
