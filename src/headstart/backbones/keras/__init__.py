"""Weights files of Keras: `.h5`, `.weights.h5` and `.keras`, into networks that compute what Keras's compute.

    hdf5        what is in a file; run in a process of its own, with bounds
    reader      a file -> the layers in it: names and arrays, read where they are asked for
    family      the architectures; a table for each (`vgg`, `resnet`, ...): layer of Keras -> module of the network
    match       the layers of a file against a family's table
    convert     arrays as Keras lays them out -> tensors as PyTorch does
    load        a file -> a network, or how many classes it has
    networks    timm's architectures, altered until they are Keras's; `source` makes them `keras:NAME`

Needs h5py; Keras itself is needed by the tests alone. Decision 0019 says what is altered.
"""
