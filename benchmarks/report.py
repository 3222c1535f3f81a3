"""Write docs/benchmarks.md and its plot from the results that the benchmarks left.

python benchmarks/report.py [--results FOLDER]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from harness import HERE, results_dir

ORDER = (
    "classifier", "extraction", "decoding", "logistic", "finetune", "startup", "store", "growth", "precision",
)  # fmt: skip
PAGE, PLOT = HERE.parent / "docs" / "benchmarks.md", HERE.parent / "docs" / "images" / "benchmarks.svg"
HEAD = """# Benchmarks

How long does Headstart take, compared with what you would otherwise write yourself or use instead? `make bench`
measures everything again and writes this page; `benchmarks/README.md` explains how. Everything that is compared took
turns in one session on one machine. Each figure is the median over the rounds, with the lowest and the highest in
brackets; ratios are computed within a round. The seconds are those of this machine; the ratios should carry over
better to others.
"""

WHY = {
    "4 times as fast as features predicted once": (
        "On an idle machine it takes 39 s. For 25 of these the network is at work on both cores, within a few"
        " percent of a bare OpenVINO loop; opening it takes 8 (importing PyTorch, torchvision and timm, 5.5 "
        "s, and converting it, once per network)"
    ),
    "mobilenetv2_100: 0.95 of the limit": (
        "The limit is the slower of network and decoding, as if each had the cores to itself. On two cores "
        "their times add up: with 189 images/s for the network and 740 for decoding, 150 are possible, and "
        "Headstart did 151"
    ),
    "memory flat": (
        "A picture takes 0.4 kB in addition to its pixels and its row, for its name, label, part, digest and "
        "their places; and with 2,000 pictures, fewer rows are on their way to the disk than the most there "
        "can be"
    ),
    "2000 x 1280 x 2, C": (
        "Five runs on another processor came to 2.6 to 3.4 times. Scaling the rows and one curvature, which the "
        "solver cannot do without, take most of the time"
    ),
    "1600 x 12544 x 2, C": (
        "Most of the time is spent multiplying the rows with themselves, 32 billion operations, in which ten classes "
        "would share"
    ),
    "3 times as fast per epoch as live": (
        "Training the three blocks takes 3.6 ms per picture either way, and everything before them 6.2 ms, so storing "
        "that cannot gain more"
    ),
    "headstart --help": "Python takes 0.02 s, importing Typer and Rich (which draw the help) the rest",
    "predict one new picture": ("Imports take 0.5 to 0.7 s; on the processor of an earlier page it took 0.75 s in all"),
    "fit on stored features": (
        "1.1 s are imports (0.4 s of it Matplotlib with its parts, for the report), 1.0 s the fit, 0.7 s reading 4,000"
        " files to recognise them by their content and comparing them; the rest is the report"
    ),
    "2 times the float32 rate": (
        "Decoding is part of both rates; the network alone, without it, is about 2.3 times as fast"
    ),
    "near copies": (
        "Every picture is compared with every other, and at 12,000 pictures these comparisons begin to show"
    ),
}
"""Why a target was missed, by its first words; measured on 28 November 2026."""


def told(floor: str, *, holds: bool) -> str:
    """A target, what was measured, whether that meets it, and if not, what is known of the reason."""
    why = next((why for first, why in WHY.items() if floor.startswith(first)), "")
    target, _, measured = floor.rpartition(": ")
    said = f"- {'Met' if holds else 'Missed'}: {target}. Measured: {measured}."
    return said if holds or not why else f"{said} {why}."


def number(value: float) -> str:
    """Three digits, with commas."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def spread(values: list[float]) -> str:
    """`12.3 (11.9 to 13)`."""
    ordered = sorted(values)
    middle = ordered[len(ordered) // 2] if len(ordered) % 2 else sum(ordered[len(ordered) // 2 - 1 :][:2]) / 2
    around = f" ({number(ordered[0])} to {number(ordered[-1])})" if len(ordered) > 1 else ""
    return number(middle) + around


def table(rows: list[dict[str, Any]], ratio_is: str) -> list[str]:
    """Lines of Markdown."""
    ratios, notes = any(row["ratios"] for row in rows), any(row["note"] for row in rows)
    heads = ["", rows[0]["unit"], *([ratio_is] if ratios else []), *(["note"] if notes else [])]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        cells = [row["what"], spread(row["values"])]
        cells += [spread(row["ratios"]) if row["ratios"] else ""] if ratios else []
        cells += [row["note"]] if notes else []
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def section(result: dict[str, Any]) -> list[str]:
    """Lines of Markdown of a benchmark."""
    lines = [f"## {result['title']}", "", f"{result['date']}, {result['machine']}. `{result['command']}`", ""]
    for title, rows in result["tables"].items():
        lines += [f"**{title}**", "", *table(rows, result["ratio_is"]), ""]
    lines += [told(floor, holds=holds) for floor, holds in result["floors"]]
    lines += [""] if result["floors"] else []
    return lines + [line for note in result["notes"] for line in (note, "")]


def plot(results: list[dict[str, Any]]) -> bool:
    """Draw the ratios of the benchmarks that name a table for it; whether there was one."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "benchmarks"
    from matplotlib import pyplot

    charted = [result for result in results if result["charted"]]
    if not charted:
        return False
    rows = [row for result in charted for row in result["tables"][result["charted"]]]
    ratios = [sorted(row["ratios"] or [1.0]) for row in rows]
    middles = [each[len(each) // 2] for each in ratios]
    order = sorted(range(len(rows)), key=lambda i: -middles[i])
    figure, ax = pyplot.subplots(figsize=(7.2, 0.36 * len(rows) + 0.9))
    for place, i in enumerate(order):
        colour = "#b8520a" if rows[i]["what"].startswith("Headstart") else "#1f5fa8"
        ax.plot([ratios[i][0], ratios[i][-1]], [place, place], color=colour, linewidth=2)
        ax.plot(middles[i], place, "o", color=colour)
        ax.annotate(number(middles[i]), (ratios[i][-1], place), (8, 0), textcoords="offset points", va="center")
    ax.set_yticks(range(len(rows)), [rows[i]["what"] for i in order])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xscale("log")
    ax.set_xlim(min(middles) / 2, max(middles) * 3)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.grid(axis="x", color="#e8ecf0")
    ax.set_axisbelow(True)
    ax.set_xlabel("time, as a multiple of Headstart's from a cold start")
    ax.spines[["top", "right", "left"]].set_visible(False)
    figure.tight_layout()
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, metadata={"Date": None})
    return True


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=results_dir())
    asked = parser.parse_args()
    files = [asked.results / f"{name}.json" for name in ORDER]
    results = [json.loads(file.read_text()) for file in files if file.is_file()]
    if not results:
        raise SystemExit(f"{asked.results} holds no results: run the benchmarks first.")
    lines = HEAD.splitlines()
    if plot(results):
        lines += ["", "![Time to a classifier, as a multiple of Headstart's time](images/benchmarks.svg)"]
    floors = [holds for result in results for _, holds in result["floors"]]
    lines += [
        "",
        f"{sum(floors)} of {len(floors)} speed and memory targets are met; for the others, the reason is given below.",
        "",
    ]
    for result in results:
        lines += section(result)
    PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
