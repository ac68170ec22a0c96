"""Descent: step rules and the limits of their stability."""
