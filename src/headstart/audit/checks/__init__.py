"""The checks: a function in a file, and a line here. The order is that of the report."""

from headstart.audit.checks import classes, copies, files, harm, labels, outliers, pictures
from headstart.audit.findings import Check

CHECKS: dict[str, Check] = {
    "layout": Check("Layout", "error", "The folders or the table do not make clear what belongs where.", files.layout),
    "broken": Check("Broken files", "error", "These files cannot be read as pictures.", files.broken),
    "empty": Check("Empty files", "error", "These files have no content at all.", files.empty),
    "unused": Check(
        "Files left out", "note", "Links, pictures listed twice, and pictures without a class.", files.unused
    ),
    "names": Check(
        "Names that clash",
        "warning",
        "Names that differ only in case or Unicode form: on another system, one file would replace the other.",
        files.names,
    ),
    "leak": Check(
        "Leaks between parts",
        "error",
        "The same picture, or nearly the same, is in two parts, so scores there are too good. The clean table leaves "
        "out the training picture.",
        copies.leak,
    ),
    "conflict": Check(
        "One picture, two classes",
        "error",
        "Copies of the same picture in different classes. The clean table leaves out all identical ones.",
        copies.conflict,
    ),
    "duplicate": Check(
        "Duplicates",
        "warning",
        "Identical to another picture of the same part, in bytes or in pixels. The clean table keeps the first.",
        copies.duplicate,
    ),
    "near": Check(
        "Near duplicates",
        "note",
        "The same scene saved again, resized, cropped, mirrored, or taken a moment later. When you fit, they stay on "
        "one side of every split; the clean table keeps them all.",
        copies.near,
    ),
    "label": Check(
        "Suspicious labels",
        "warning",
        "Both a classifier that had not seen the picture (confident learning, Northcutt et al. 2021) and the most "
        "similar pictures point to another class. The clean table leaves out those outside the test.",
        labels.suspicious,
    ),
    "hurts": Check(
        "Pictures that hurt",
        "note",
        "Suspicious pictures that make a classifier worse on the others, out of fold (one fit each): near copies in "
        "another class, small pictures that were enlarged, pictures with hardly a neighbour of their own class.",
        harm.hurts,
    ),
    "outlier": Check("Outliers", "note", "To the network, unlike any other picture here.", outliers.far),
    "plain": Check("One colour", "warning", "Every pixel has the same colour.", pictures.plain),
    "dark": Check(
        "Nearly black",
        "warning",
        "White is 65,535 in pictures of 16 bits (and of 32 with values above 255), so the values of a 12-bit camera, "
        "up to 4,095, give a nearly black picture. Multiply the values of all pictures by one number (16 for 12 bits), "
        "save them again, and treat new pictures likewise.",
        pictures.dark,
    ),
    "tiny": Check("Tiny pictures", "warning", "One side has fewer than 8 pixels.", pictures.tiny),
    "grey": Check(
        "Grey among coloured", "note", "Pictures without colour, although most others have some.", pictures.grey
    ),
    "size": Check("Odd sizes", "note", "Far larger, smaller or longer than the others.", pictures.size),
    "mode": Check(
        "Odd colour modes",
        "note",
        "Stored in another colour mode than the others. They are read correctly: make sure only that they belong here.",
        pictures.mode,
    ),
    "rotated": Check(
        "Turned by EXIF",
        "note",
        "Stored sideways, with a mark to rotate them. Headstart follows the mark; programs that ignore it show them "
        "sideways.",
        pictures.rotated,
    ),
    "pages": Check(
        "More than one page",
        "note",
        "Of a file with several pages, such as a stack of layers or moments, only the first is read. If another one "
        "counts, save it as a file of its own.",
        pictures.pages,
    ),
    "few": Check("Classes with few pictures", "warning", "Too few to learn from.", classes.few),
    "balance": Check(
        "Class balance", "note", "The largest class is many times the size of the smallest.", classes.balance
    ),
}
