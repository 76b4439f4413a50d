"""Properties of molecules beside the energy: scalars, vectors and tensors read off the same representations."""
