"""Naming: what pictures show, among the 1,000 ImageNet classes that a network already tells apart; nothing is trained.

classes    the classes in order, with WordNet ids     naming    pictures -> probabilities
files      JSON, CSV                                  sheet     a contact sheet
"""

from headstart.naming.classes import Category, categories, ids_in
from headstart.naming.files import check_out, write
from headstart.naming.naming import Named, Network, Score, classify, named_by

__all__ = [
    "Category",
    "Named",
    "Network",
    "Score",
    "categories",
    "check_out",
    "classify",
    "ids_in",
    "named_by",
    "write",
]
