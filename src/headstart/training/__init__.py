"""Training: one loop for everything that has weights to learn, from a head on stored features to a whole network.

plan        what a training does, in numbers; `rules` chooses them by the size of the data
batches     where examples come from: by (epoch, step), so that a resumed training sees the same ones
optimiser   AdamW and SGD over groups of parameters
loop        the training itself
crew        several processes that train together
checkpoint  its state on disk
finder      the learning-rate finder, on a copy
network     a network to tune: trunk activations in, logits out
"""
