"""The checks: a function in a file, and a line here. The order is that of the report."""

from headstart.audit.checks import classes, copies, files, harm, labels, outliers, pictures
from headstart.audit.findings import Check

CHECKS: dict[str, Check] = {
    "layout": Check("Layout", "error", "The folders or the table do not say what belongs where.", files.layout),
    "broken": Check("Broken files", "error", "No picture can be read from them.", files.broken),
    "empty": Check("Empty files", "error", "They have no content at all.", files.empty),
    "unused": Check("Files left out", "note", "Links, second mentions, and pictures without a class.", files.unused),
    "names": Check(
        "Names that clash",
        "warning",
        "The same name but for case or Unicode form: on another system one replaces the other.",
        files.names,
    ),
    "leak": Check(
        "Leaks between parts",
        "error",
        "A picture of one part is in another too, or nearly: scores there are too good. The clean table leaves out the "
        "training picture.",
        copies.leak,
    ),
    "conflict": Check(
        "One picture, two classes",
        "error",
        "Copies of each other in different classes. The clean table leaves out all that are the same.",
        copies.conflict,
    ),
    "duplicate": Check(
        "Duplicates",
        "warning",
        "The same bytes, or the same pixels, as another picture of the part. The clean table keeps the first.",
        copies.duplicate,
    ),
    "near": Check(
        "Near duplicates",
        "note",
        "The same scene saved again, resized, cropped, mirrored, or a moment later. Fitting keeps them on one side of "
        "every split; the clean table keeps them all.",
        copies.near,
    ),
    "label": Check(
        "Suspicious labels",
        "warning",
        "A classifier that had not seen the picture (confident learning, Northcutt et al. 2021) and its nearest "
        "neighbours both take it for another class. The clean table leaves out those outside the test.",
        labels.suspicious,
    ),
    "hurts": Check(
        "Pictures that hurt",
        "note",
        "Suspicious ones without which a classifier answers the others better, out of fold (one fit each): near copies "
        "in another class, small ones that were enlarged, pictures with hardly a neighbour of their class.",
        harm.hurts,
    ),
    "outlier": Check("Outliers", "note", "Unlike any other picture here, to the network that looked.", outliers.far),
    "plain": Check("One colour", "warning", "Every pixel has the same colour.", pictures.plain),
    "tiny": Check("Tiny pictures", "warning", "A side of fewer than 8 pixels.", pictures.tiny),
    "grey": Check("Grey among coloured", "note", "Pictures without colour, where most have some.", pictures.grey),
    "size": Check("Odd sizes", "note", "Far larger, smaller or longer than the others.", pictures.size),
    "mode": Check("Odd colour modes", "note", "Stored in another way than the others.", pictures.mode),
    "rotated": Check(
        "Turned by EXIF", "note", "Stored lying down: programs that ignore the mark see them so.", pictures.rotated
    ),
    "few": Check("Classes with few pictures", "warning", "Too few to learn from.", classes.few),
    "balance": Check("Class balance", "note", "The largest class has many times the smallest.", classes.balance),
}
