"""Runs of many models on many datasets, side by side."""
