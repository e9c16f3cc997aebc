"""The Python API: what `from openflan import ...` offers, and what the command line calls.

No function here prints, exits, or reads the arguments of the process. Progress goes to callbacks and to
`logging` (the logger `openflan`), warnings go through `warnings`, and failures are `InputError` or
`SetupError` of `openflan.errors`. Messages name options as the command line spells them: `--top-k` is `top_k`
here.
"""
