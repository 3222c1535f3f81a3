"""Training a network on pictures: fine-tuning some or all of its blocks, or all of it from scratch.

    training_split  where the network is split: the trunk that is frozen, the part that is trained
    settings        every number of the training, the user's or by rules of size
    rows            the body's input, stored or computed when it is asked for
    state           what outlives the process: the saved state, and the number of threads that is fastest here
    summary         notes in sentences, and the block `training` of scores.json
    tune            the act: top first, then the body, then the best blend; a backbone with new weights and its head

`--unfreeze N` and all that follows end in a backbone with other weights and a head on its features, like any other
classifier: predicting, bundles and engines need not know how it was trained.
"""
