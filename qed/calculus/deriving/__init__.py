"""Derivations: the rules of differentiation applied to a program, number by number or matrix by matrix."""
