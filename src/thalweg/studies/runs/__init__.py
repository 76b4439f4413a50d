"""Campaigns of a study in their folders: begun, foretold, looked at, gone on with, reported; and the whole loop."""
