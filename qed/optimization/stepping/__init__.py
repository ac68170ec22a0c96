"""What is said beside a step size: the noise of batches, narrow valleys, and the steps of Newton and L-BFGS."""
