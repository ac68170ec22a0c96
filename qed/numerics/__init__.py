"""Numerical stability: finding where digits are lost, and rewriting so that they are not."""
