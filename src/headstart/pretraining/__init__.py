"""Source models of our own: `sprout` on drawn pictures, any architecture on any labelled pictures."""
