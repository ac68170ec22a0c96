"""What a critical point is found and judged with: Newton and Krawczyk, curvatures, rounding, flat directions."""
