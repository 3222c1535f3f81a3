"""Every chart, drawn by Matplotlib once for pages, notebooks and files, in the manner of scikit-learn's displays.

Read it in this order: `style` (colours, type, how an arm looks), `display` (what all charts can do), `svg` (what
becomes of a drawing in a page), `axes`, `legend` and `labels` (words where they cover nothing), then one module for
each chart: `lines`, `intervals`, `reliability`, `confusion`, `curves` with `ends`, `differences`, `scatter`,
`mistakes`. A chart takes numbers and words and knows no files; `report.figures` says which charts a folder has.
"""
