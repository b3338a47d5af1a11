"""The museum of wrong gradients: every catalogued mistake, its code, where it hides and who misses it."""
