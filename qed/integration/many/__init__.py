"""Integrals in many dimensions: boxes, structure, quasi-Monte Carlo, and values and gradients under a trace."""
