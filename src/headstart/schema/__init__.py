"""The JSON files that one command writes and others read: a dataclass for each table, its fields the keys in order.

`files` writes and reads them; `verdicts`, `ranking` and `scores` say what is in verdicts.json, ranking.json and
scores.json, and `shards` what is in the manifest.json of a folder of Parquet shards. Whoever finds a figure puts it
into these classes, and whoever shows it takes it from them (decision 0034).
"""
