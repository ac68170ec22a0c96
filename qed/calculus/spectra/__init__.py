"""What a spectrum is made of: Hessian products of a program, the density of eigenvalues, the trace."""
