"""The families of laws by name, each made of its parameters."""
