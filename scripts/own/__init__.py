"""One's own captioned pictures, evaluated with one command: ``python -m scripts.own``."""
