"""The solutions, one file an exercise. A stub is a solution without the bodies of its required functions."""
