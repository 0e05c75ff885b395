"""Two finished runs on the same queries: a gate for a pull request, or for a model's release."""
