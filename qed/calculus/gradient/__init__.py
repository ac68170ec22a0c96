"""Is the gradient right? Every derivative rule of a program compared with the derivative of its own body."""
