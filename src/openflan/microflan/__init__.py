"""The embedded source `microflan`: a small world of people, words and numbers, and instructions about it.

`world/` makes its rows and texts from a seed. The table of embedded sources (`openflan.embedded`) loads
`tasks_and_texts` and `benchmarks`. `leak_check` looks for held-out facts and answers in rendered examples.
`bundled/` holds the models, and `quickstart` runs everything once.
"""
