"""From options of a user to a `Decoding`."""

from __future__ import annotations

from openflan.errors import InputError, did_you_mean
from openflan.evaluation.decoding import Decoding

EXTRACTIONS = ("phrase", "second-pass")
"""How an answer is found after a chain of thought: after its last answer phrase, or by a second request."""

SAMPLED = Decoding(temperature=0.7, top_k=40)
"""How the paper draws the samples of self-consistency: temperature 0.7, from the 40 likeliest tokens (Wang et
al. 2022)."""


def decoding_from_options(
    samples: int,
    temperature: float | None,
    top_k: int | None,
    seed: int,
    *,
    likelihood: bool,
    normalized: bool,
    extract: str = EXTRACTIONS[0],
    bits_per_byte: bool = False,
) -> Decoding:
    """The decoding that the options describe. More than one sample is drawn with the paper's temperature and
    `top_k`, where these are None.

    Raises InputError for options that contradict each other.
    """
    if normalized and not likelihood:
        raise InputError(
            "`--normalized` needs `--likelihood`: it compares options by their log-probability per token"
        )
    if extract not in EXTRACTIONS:
        raise InputError(
            f"`--extract {extract}` is no extraction"
            f"{did_you_mean(extract, EXTRACTIONS) or '; expected ' + ' or '.join(EXTRACTIONS)}"
        )
    second_pass = extract == "second-pass"
    if likelihood and second_pass:
        raise InputError(
            "`--likelihood` chooses among options and writes no chain of thought: leave out "
            "`--extract second-pass`"
        )
    is_sampled = samples > 1 or temperature is not None or top_k is not None
    if likelihood and is_sampled:
        raise InputError(
            "`--likelihood` chooses among options and draws no samples: leave out `--samples`, "
            "`--temperature` and `--top-k`"
        )
    if bits_per_byte and (likelihood or is_sampled or second_pass):
        raise InputError(
            "`--bits-per-byte` scores the right answers and gives none: leave out `--likelihood`, "
            "`--samples`, `--temperature`, `--top-k` and `--extract second-pass`"
        )
    if bits_per_byte:
        return Decoding(likelihood="gold")
    if likelihood:
        return Decoding(likelihood="mean" if normalized else "sum")
    if not is_sampled:
        return Decoding(second_pass=second_pass)
    used_temperature = SAMPLED.temperature if temperature is None else temperature
    if used_temperature == 0 and samples > 1:
        raise InputError(
            f"{samples} samples at `--temperature 0` would all be equal: leave out `--samples`, or "
            "give a temperature such as 0.7"
        )
    if used_temperature == 0 and top_k is not None:
        raise InputError("`--top-k` needs a temperature above 0")
    used_top_k = SAMPLED.top_k if top_k is None else top_k
    used_seed = seed if used_temperature else 0
    return Decoding(samples, used_temperature, used_top_k, used_seed, second_pass=second_pass)
