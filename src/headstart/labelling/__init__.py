"""`headstart label`: which pictures to label next, a page to label them on, and what more labels would bring.

features -> Pool (which next) -> Session (a journal, then labels.csv) -> Insight (accuracy, curve, doubts) -> page
"""
