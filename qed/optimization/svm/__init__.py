"""Support vector machines that stop on a proved duality gap: the linear solver, the kernel polish, the estimators."""
