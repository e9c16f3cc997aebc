"""Jinja texts of others under a budget: what one render may cost, and values that always read the same."""
