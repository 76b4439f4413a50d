"""Ways between two states: bands and strings of images, saddles, coordinates along a path, sampled transition paths."""
