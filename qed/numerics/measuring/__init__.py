"""Digits lost: what a program computes beside what its formula means, and which equations make the difference."""
