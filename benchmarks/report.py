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

How long Headstart takes, beside what a user would write or pick instead. `make bench` measures everything again and
writes this page; `benchmarks/README.md` says how. Whatever is compared ran by turns in one session on one machine. A
figure is the median over the rounds, with the least and the most in brackets; ratios are taken within a round. Seconds
are those of this machine, ratios carry further.
"""


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
    lines += [f"- {'Holds' if holds else 'Missed'}: {told}." for told, holds in result["floors"]]
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
    ax.set_xlabel("time, in times of Headstart's from a cold start")
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
        lines += ["", "![Time to a classifier, in times of Headstart's](images/benchmarks.svg)"]
    floors = [(result["title"], told, holds) for result in results for told, holds in result["floors"]]
    lines += ["", f"{sum(holds for *_, holds in floors)} of {len(floors)} floors hold.", ""]
    for result in results:
        lines += section(result)
    PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
