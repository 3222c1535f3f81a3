"""Did transfer help? From right and wrong answers to curves, intervals, verdicts, reasons and sentences (METHODS 3, 4).

Nothing here reads a picture or fits a head: arrays in, findings out.
"""
