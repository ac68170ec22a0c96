"""Derivatives of the function as a whole: Hessian-vector products and the curvature that they show."""
