"""New molecules from strings of symbols: tokens, an autoencoder, and search in its continuous space."""
