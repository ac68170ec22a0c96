"""The parts of `qed.taylor`: coefficients, remainders, known series, trust in the quadratic model."""
