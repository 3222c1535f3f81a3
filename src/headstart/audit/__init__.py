"""What is wrong with labelled pictures, before anything is learnt from them.

material -> checks (a table, one function each) -> findings -> audit.csv, audit.json, audit.html, a clean table
"""
