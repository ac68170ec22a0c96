"""Proofs as data: a certificate is written as JSON, read again, and verified by code that did not find it."""
