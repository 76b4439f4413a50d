"""Pages of landscapes: maps of structures, and models of motion along a variable."""
