"""The same work on many machines, by Ray (the extra `cluster`), decision 0044.

connect   to a cluster, and what Ray says against a task in one sentence
pool      a pool of actors of Ray Data that makes Parquet shards of pictures
rows      what a worker holds open to make rows of pictures
features  shards of features
predict   shards of predictions
tasks     cells of a study and backbones of a ranking, as Ray tasks
train     a network trained by several workers of Ray Train
"""
