"""The program that draws the pictures `sprout` is trained on: letters, strokes, silhouettes, fractals, textures.

Everything is a function of a seed (and, for letters, of the fonts that are installed); no picture comes from elsewhere.
"""
