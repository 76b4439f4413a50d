"""From the name or structure of a molecule to what it shows in experiments."""
