"""Shapes of functions: proofs of convexity, and witnesses against it."""
