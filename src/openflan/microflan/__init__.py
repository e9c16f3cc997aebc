"""The embedded source `microflan`: a small world of people, words and numbers, and instructions about it.

`world/` makes its rows and texts from a seed; `rows` and `benchmarks` are what the table of embedded sources
(`openflan.embedded`) loads; `leak_check` looks for held-out answers in wordings; `bundled/` holds the models;
`quickstart` runs all of it.
"""
