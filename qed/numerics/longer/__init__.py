"""The same function in longer numbers: for differences that cancel and have no rule."""
