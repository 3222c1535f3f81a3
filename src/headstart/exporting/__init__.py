"""A classifier as one graph in the formats of other programs: uint8 picture of any size -> probabilities.

graph      nodes of ONNX              picture   resize, crop, normalisation
pieces     before and behind          answer    heads, temperature, classes
formats    EXPORTS, the table         onnx, openvino   how each is put together, written and run
parity     the graph against the run  pictures  those it is checked on
quantise   the network in int8        execute   the command
"""
