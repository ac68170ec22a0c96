"""Measures on the line, and integrals against them: expectations and probabilities with errors that are true."""
