"""Ways to find coefficients: matched forces, inverted distributions, least relative entropy; and less noisy labels."""
