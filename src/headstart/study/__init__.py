"""A study: arms x sizes x repeats on the same pictures -> tables -> verdicts.

recipe, arms -> subsets -> execute (cells, kept in folder) -> facts, findings, tables
"""

from headstart.study.execute import Study, compare
from headstart.study.recipe import StudyRecipe

__all__ = ["Study", "StudyRecipe", "compare"]
