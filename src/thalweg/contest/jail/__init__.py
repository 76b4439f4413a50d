"""Where an entry runs: a process with limits, without network, that sees its own folder and speaks arrays."""
