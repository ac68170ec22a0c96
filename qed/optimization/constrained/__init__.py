"""Minimising under constraints: the problem as vectors, the solvers that iterate, the polish, and the residuals."""
