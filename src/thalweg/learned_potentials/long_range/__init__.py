"""Terms that reach further than any cutoff: charges given, equilibrated or latent, and dipoles they induce."""
