"""Weights files of Keras: `.h5`, `.weights.h5` and `.keras`, into networks that compute what Keras's compute.

    archive     the HDF5 file within a file of Keras
    reader      a file -> the layers in it: names and arrays, none of them read yet
    family      the architectures; a table for each (`vgg`, `resnet`, ...): layer of Keras -> module of the network
    match       the layers of a file against a family's table
    convert     arrays as Keras lays them out -> tensors as PyTorch does
    load        a file -> a network, or how many classes it has
    networks    timm's architectures, altered until they are Keras's; `source` makes them `keras:NAME`

Needs h5py; Keras itself is needed by the tests alone. Decision 0019 says what is altered.
"""
