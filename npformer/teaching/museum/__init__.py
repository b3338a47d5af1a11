"""The museum of wrong gradients: every catalogued mistake, its code, where it hides and who misses it."""

from .exhibits import EXHIBITS, Exhibit, exhibit, student
from .index import INDEX, OPTIMIZER_INDEX

__all__ = ["EXHIBITS", "INDEX", "OPTIMIZER_INDEX", "Exhibit", "exhibit", "student"]
