"""What a licence of weights asks of who uses them, by its short name as model pages have it. No legal advice."""

from __future__ import annotations

NON_COMMERCIAL = ("-nc", "noncommercial", "non-commercial", "apple-amlr", "seer-license")
"""Parts of names. Sources: Creative Commons BY-NC 4.0; FAIR Noncommercial Research; Apple's AMLR; SEER's LICENSE."""
GATED = ("dinov3-license", "gemma", "llama")
"""Parts of names of terms that are to be accepted on the model's page before the weights are given out."""


def mark(licence: str) -> str:
    """What to know before anything else: `not for commercial use`, `gated`, or nothing.

    >>> mark("cc-by-nc-4.0"), mark("dinov3-license"), mark("apache-2.0")
    ('not for commercial use', 'gated', '')
    """
    name = licence.lower()
    if any(part in name for part in NON_COMMERCIAL):
        return "not for commercial use"
    return "gated" if any(part in name for part in GATED) else ""


def marked(licence: str) -> str:
    """The name with its mark behind it."""
    return f"{licence} ({told})" if (told := mark(licence)) else licence
