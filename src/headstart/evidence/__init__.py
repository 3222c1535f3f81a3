"""Did transfer help? From right and wrong answers to curves, intervals, verdicts, reasons, sentences (docs/compare.md).

Nothing here reads a picture or fits a head: arrays in, findings out.
"""
