"""Exercises: stubs to fill in, graded function by function with the referee's diagnosis as the hint.

`catalogue` has an exercise a file: what is graded, where, for how many points, and the hints. `solutions` has
the files that stubs are made of.
"""

from . import gradescope, report
from .catalogue import EXERCISES
from .classes import files_in, grade_class, grade_folder, to_grade
from .exercise import Exercise, Grade, Mark
from .grading import exercises_in, grade_all, grade_file, nothing
from .stubs import exercise, solution, start, stub

__all__ = [
    "EXERCISES",
    "Exercise",
    "Grade",
    "Mark",
    "exercise",
    "exercises_in",
    "files_in",
    "grade_all",
    "grade_class",
    "grade_file",
    "grade_folder",
    "gradescope",
    "nothing",
    "report",
    "solution",
    "start",
    "stub",
    "to_grade",
]
