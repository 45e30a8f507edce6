"""Trains, examines and serves the demo model; not a part of the installed package."""
