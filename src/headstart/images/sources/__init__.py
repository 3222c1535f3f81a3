"""Where pictures come from: one file for each source, tried in the order of `SOURCES`."""
