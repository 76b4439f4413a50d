"""Is the coarse model right? Distributions, surfaces and time scales beside those of the reference."""
