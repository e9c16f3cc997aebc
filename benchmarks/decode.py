"""Generation and likelihoods against transformers: the same random weights, the same prompts, the same number
of generated tokens in every arm.

    python benchmarks/decode.py --quick
    python benchmarks/decode.py --data DATA/cot --tokenizer TOKENIZER

CPU seconds of one thread; arms take turns (A B C A B C ...), the median of the rounds counts. Parts:
- greedy: T5-v1.1-small shapes (untied), prompts of 800 tokens on average, answers as long as rationales are.
  Random weights never end, so every row
  is ended alike in all arms after its own number of tokens. transformers decodes static batches, sorted by
  prompt length or as they come.
- samples: 40 of each prompt at temperature 0.7 from the top 40, against `num_return_sequences` and against
  repeated prompts.
- prefix: a small Llama, 1,500 tokens of exemplars before every question, against whole prompts.
- likelihood: four options of a T5 question, against every option with its prompt as a pair of its own.
Lengths of answers: from rationales (--data, a folder of TSV files whose last column is one; --tokenizer),
else lognormal with median 27 and sigma 0.72 (the first 33,000 rationales of the public files have median 27,
mean 36, 99th percentile 134 under a tokenizer of their own). Correctness is shown by log-probabilities
against teacher forcing: greedy tokens of random weights prove nothing.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

from openflan.inference.batching import Budget, Prompt, decode, prompts_of
from openflan.inference.causal_attention import decoding_attention
from openflan.inference.causal_decoding import CausalDecoder
from openflan.inference.ending import Ending
from openflan.inference.prefixes import share_prefixes
from openflan.inference.protocol import Request
from openflan.inference.t5_decoding import T5Decoder

EOS, PAD = 1, 0
BUDGET = Budget(32_768, 64, 1)
HEAT, TOP_K = 0.7, 40

Arms = dict[str, Callable[[], object]]


def t5_small() -> Any:
    """76.96 M parameters; the head is untied by hand, as transformers ties it whatever the configuration
    says."""
    sizes = {
        "vocab_size": 32_128,
        "d_model": 512,
        "d_kv": 64,
        "d_ff": 1_024,
        "num_layers": 8,
        "num_decoder_layers": 8,
        "num_heads": 6,
    }
    model = T5ForConditionalGeneration(
        T5Config(
            **sizes,
            feed_forward_proj="gated-gelu",
            decoder_start_token_id=PAD,
            pad_token_id=PAD,
            eos_token_id=EOS,
        )
    )
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.shared.weight) * 512**-0.5)
    model.config.tie_word_embeddings = False
    model.config.scale_decoder_outputs = False
    millions = sum(one.numel() for one in model.parameters()) / 1e6
    if model.lm_head.weight is model.shared.weight or abs(millions - 76.96) > 0.01:
        raise RuntimeError(f"{millions:.2f} M parameters: this is no untied T5-v1.1-small")
    return model.eval()


def llama_small() -> Any:
    sizes = {
        "vocab_size": 32_000,
        "hidden_size": 512,
        "intermediate_size": 1_376,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
    }
    return LlamaForCausalLM(
        LlamaConfig(
            **sizes, num_key_value_heads=8, max_position_embeddings=4_096, eos_token_id=EOS, pad_token_id=PAD
        )
    ).eval()


def prompt_lengths(count: int, draws: np.random.Generator) -> list[int]:
    """Mean about 800, from 200 to 1,800."""
    return np.clip(np.exp(draws.normal(np.log(740), 0.4, count)), 200, 1_800).astype(int).tolist()


def answer_lengths(count: int, draws: np.random.Generator, known: Sequence[int]) -> list[int]:
    if known:
        return [int(length) for length in draws.choice(np.array(known), count)]
    return np.clip(np.exp(draws.normal(np.log(27), 0.72, count)), 4, 257).astype(int).tolist()


def rationale_lengths(data: Path | None, tokenizer: Path | None) -> list[int]:
    """Tokens of the last column of the TSV files of a folder, end of sequence included."""
    if data is None or tokenizer is None:
        return []
    from transformers import AutoTokenizer

    csv.field_size_limit(1 << 30)
    made = AutoTokenizer.from_pretrained(str(tokenizer))
    texts = [
        row[-1]
        for path in sorted(data.glob("*.tsv"))
        for row in csv.reader(path.open(encoding="utf-8", newline=""), delimiter="\t")
        if len(row) > 2
    ]
    return [min(len(ids), 257) for ids in made(texts[:20_000], verbose=False)["input_ids"]]


def some_ids(length: int, draws: np.random.Generator) -> tuple[int, ...]:
    return (*draws.integers(3, 32_000, length - 1).tolist(), EOS)


class Ends:
    """Ends every row after its own number of tokens."""

    def __init__(self, lengths: Sequence[int], start: int) -> None:
        self.lengths, self.start = torch.tensor(lengths), start

    def __call__(self, ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:
        return ids.shape[1] - self.start >= self.lengths


def padded(prompts: Sequence[Sequence[int]], *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), PAD)
    mask = torch.zeros_like(ids)
    for index, item in enumerate(prompts):
        where = slice(longest - len(item), longest) if left else slice(0, len(item))
        ids[index, where] = torch.tensor(item)
        mask[index, where] = 1
    return ids, mask


def theirs(
    model: Any,
    prompts: Sequence[Sequence[int]],
    lengths: Sequence[int],
    batch: int,
    *,
    samples: int = 1,
    drawn: bool = False,
) -> int:
    """transformers' generate over static batches; `lengths` has one a row."""
    causal = not model.config.is_encoder_decoder
    how: dict[str, Any] = (
        {"do_sample": True, "temperature": HEAT, "top_k": TOP_K, "top_p": 1.0}
        if drawn
        else {"do_sample": False}
    )
    # No token ends a row but the criterion does, as in our arm.
    model.generation_config = GenerationConfig(
        pad_token_id=PAD, eos_token_id=None, decoder_start_token_id=PAD, num_return_sequences=samples, **how
    )
    made = 0
    for first in range(0, len(prompts), batch):
        ids, mask = padded(prompts[first : first + batch], left=causal)
        ends = list(lengths[first * samples : (first + batch) * samples])
        with torch.inference_mode():
            stop = Ends(ends, ids.shape[1] if causal else 1)
            made += len(
                model.generate(
                    input_ids=ids, attention_mask=mask, max_new_tokens=max(ends), stopping_criteria=[stop]
                )
            )
    return made


class NoText:
    def decode(self, *_: object, **__: object) -> str:
        return ""


def ours(
    model: Any,
    requests: Sequence[tuple[int, tuple[int, ...], Request]],
    *,
    causal: bool = False,
    shared: bool = True,
) -> int:
    prompts = prompts_of(requests)
    ending = Ending(NoText(), frozenset())
    if not causal:
        return sum(1 for _ in decode(T5Decoder(model), prompts, ending, BUDGET))
    with decoding_attention(model):
        return sum(
            1
            for _ in decode(
                CausalDecoder(model), share_prefixes(prompts) if shared else prompts, ending, BUDGET
            )
        )


def measure(title: str, arms: Arms, rounds: int, base: str) -> None:
    times: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, run in arms.items():
            began = time.process_time()
            run()
            times[name].append(time.process_time() - began)
    median = {name: statistics.median(values) for name, values in times.items()}
    print(f"\n{title} ({rounds} rounds)")
    for name, values in times.items():
        ratio = "" if name == base else f"   {median[name] / median[base]:.2f}x"
        print(f"  {name:44s} {median[name]:8.2f} CPU s ({min(values):.2f}-{max(values):.2f}){ratio}")
    sys.stdout.flush()


def greedy(size: int, rounds: int, batch: int, known: Sequence[int]) -> None:
    model, draws = t5_small(), np.random.default_rng(1)
    prompts = [some_ids(length, draws) for length in prompt_lengths(size, draws)]
    lengths = answer_lengths(size, draws, known)
    check_t5(model, prompts[:4], draws)
    order = sorted(range(size), key=lambda index: -len(prompts[index]))
    by_length = [prompts[place] for place in order], [lengths[place] for place in order]
    requests = [(place, ids, Request(str(place), lengths[place])) for place, ids in enumerate(prompts)]
    arms: Arms = {
        "openflan": lambda: ours(model, requests),
        f"generate, sorted, batches of {batch}": lambda: theirs(model, *by_length, batch),
        f"generate, as they come, batches of {batch}": lambda: theirs(model, prompts, lengths, batch),
    }
    title = (
        f"greedy: {size} prompts of {np.mean([len(ids) for ids in prompts]):.0f} tokens, answers of "
        f"{np.mean(lengths):.0f} (longest {max(lengths)})"
    )
    measure(title, arms, rounds, "openflan")


def sampled(size: int, samples: int, rounds: int, known: Sequence[int], *, equal: int = 0) -> None:
    """With `equal` every row has so many tokens: what is left of the gain when no row can leave early."""
    model, draws = t5_small(), np.random.default_rng(2)
    prompts = [some_ids(length, draws) for length in prompt_lengths(size, draws)]
    lengths = [equal] * (size * samples) if equal else answer_lengths(size * samples, draws, known)
    # The rows of a prompt end at different tokens: requests of one sample that differ in seed, as samples of
    # one request cannot.
    requests = [
        (
            index,
            prompts[index // samples],
            Request(str(index // samples), lengths[index], (), 1, HEAT, TOP_K, index),
        )
        for index in range(size * samples)
    ]
    repeated = [prompts[place // samples] for place in range(size * samples)]
    arms: Arms = {
        "openflan": lambda: ours(model, requests),
        "generate, num_return_sequences": lambda: theirs(
            model, prompts, lengths, 1, samples=samples, drawn=True
        ),
        "generate, repeated prompts, batches of 8": lambda: theirs(model, repeated, lengths, 8, drawn=True),
    }
    measure(
        f"samples: {size} prompts x {samples} samples of {np.mean(lengths):.0f} tokens (longest "
        f"{max(lengths)})",
        arms,
        rounds,
        "openflan",
    )


def prefixed(questions: int, rounds: int) -> None:
    model, draws = llama_small(), np.random.default_rng(3)
    prefix = some_ids(1_500, draws)
    prompts = [prefix + some_ids(100, draws) for _ in range(questions)]
    check_causal(model, prompts[:3], draws)
    requests = [(place, ids, Request(str(place), 32)) for place, ids in enumerate(prompts)]
    arms: Arms = {
        "openflan": lambda: ours(model, requests, causal=True),
        "openflan, prefix not shared": lambda: ours(model, requests, causal=True, shared=False),
        "generate, batches of 8": lambda: theirs(model, prompts, [32] * questions, 8),
    }
    measure(
        f"prefix: 1,500 tokens before {questions} questions of 100, 32 tokens each", arms, rounds, "openflan"
    )


def likelihood(size: int, rounds: int) -> None:
    model, draws = t5_small(), np.random.default_rng(4)
    prompts = [some_ids(length, draws) for length in prompt_lengths(size, draws)]
    options = [[(*some_ids(3, draws)[:-1], letter) for letter in range(70, 74)] for _ in prompts]
    pairs = sorted(
        ((ids, option) for ids, of in zip(prompts, options, strict=True) for option in of),
        key=lambda pair: -len(pair[0]),
    )

    def mine() -> list[list[float]]:
        order = sorted(range(size), key=lambda index: -len(prompts[index]))
        decoder, results = T5Decoder(model), {}
        for first in range(0, size, 4):
            chunk = order[first : first + 4]
            results.update(
                zip(
                    chunk,
                    decoder.option_scores([(prompts[place], options[place]) for place in chunk]),
                    strict=True,
                )
            )
        return [results[place] for place in range(size)]

    def each() -> list[float]:
        results = []
        for first in range(0, len(pairs), 8):
            chunk = pairs[first : first + 8]
            ids, mask = padded([one for one, _ in chunk], left=False)
            labels = torch.tensor([option for _, option in chunk])
            with torch.inference_mode():
                logits = (
                    model(input_ids=ids, attention_mask=mask, labels=labels).logits.float().log_softmax(-1)
                )
            results += logits.gather(2, labels[..., None]).sum((1, 2)).tolist()
        return results

    theirs_by = dict(zip(pairs, each(), strict=True))
    worst = max(
        abs(value - theirs_by[ids, option])
        for ids, of, item in zip(prompts, options, mine(), strict=True)
        for option, value in zip(of, item, strict=True)
    )
    print(f"\nlog-probabilities of options, largest difference {worst:.1e}")
    arms: Arms = {"openflan": mine, "every option with its prompt, batches of 8": each}
    measure(
        f"likelihood: {size} prompts of {np.mean([len(ids) for ids in prompts]):.0f} tokens, 4 options of 3",
        arms,
        rounds,
        "openflan",
    )


@torch.inference_mode()
def check_t5(model: Any, prompts: Sequence[tuple[int, ...]], draws: np.random.Generator) -> None:
    """Rows that start one step after the other, fed random tokens: their log-probabilities against a whole
    forward."""
    forced_ids = [draws.integers(3, 32_000, 12).tolist() for _ in prompts]
    seen = list(stepped(T5Decoder(model), [Prompt(ids, []) for ids in prompts], forced_ids))
    worst = 0.0
    for index, ids in enumerate(prompts):
        log_probabilities = (
            model(input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([[PAD, *forced_ids[index]]]))
            .logits[0]
            .log_softmax(-1)
        )
        worst = max(
            worst,
            max(
                float((row - log_probabilities[at]).abs().max())
                for row_place, at, row in seen
                if row_place == index
            ),
        )
    print(
        f"\nT5 log-probabilities against teacher forcing, {len(seen)} positions, largest difference "
        f"{worst:.1e}"
    )


@torch.inference_mode()
def check_causal(model: Any, prompts: Sequence[tuple[int, ...]], draws: np.random.Generator) -> None:
    forced_ids = [draws.integers(3, 32_000, 6).tolist() for _ in prompts]
    log_probabilities = [
        model(input_ids=torch.tensor([[*ids, *forced_ids[index]]])).logits[0, len(ids) - 1 :].log_softmax(-1)
        for index, ids in enumerate(prompts)
    ]
    with decoding_attention(model):
        seen = list(
            stepped(
                CausalDecoder(model),
                share_prefixes([Prompt(ids, []) for ids in prompts]),
                forced_ids,
                [tuple(one) for one in prompts],
            )
        )
    worst = max(float((row - log_probabilities[place][at]).abs().max()) for place, at, row in seen)
    print(
        f"\nLlama log-probabilities after a shared prefix against a whole forward, {len(seen)} "
        f"positions, largest difference {worst:.1e}"
    )


def stepped(
    decoder: Any,
    prompts: Sequence[Prompt],
    forced_ids: Sequence[Sequence[int]],
    names: Sequence[tuple[int, ...]] | None = None,
) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Place, position and log-probabilities; every row starts one step after the one before."""
    places = [place if names is None else names.index(prompt.ids) for place, prompt in enumerate(prompts)]
    decoder.admit(prompts)
    rows: list[tuple[int, list[int]]] = []
    waiting = list(zip(places, prompts, strict=True))
    for _ in range(min(map(len, forced_ids))):
        if waiting:
            position, prompt = waiting.pop(0)
            rows.append((position, [decoder.add(prompt)]))
        logits = decoder.step([fed[-1] for _, fed in rows]).log_softmax(-1)
        for (position, fed), row in zip(rows, logits, strict=True):
            yield position, len(fed) - 1, row
            fed.append(forced_ids[position][len(fed) - 1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes and one round: about three minutes")
    parser.add_argument(
        "--parts",
        default="greedy,samples,prefix,likelihood",
        help=("`equal`: samples that all have 32 tokens"),
    )
    parser.add_argument("--rounds", type=int, help="3, with --quick 1")
    parser.add_argument("--batch", type=int, default=16, help="of transformers' static greedy batches")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    known = rationale_lengths(options.data, options.tokenizer)
    print(f"torch {torch.__version__}, 1 thread of {os.cpu_count()}, quick: {options.quick}")
    if known:
        print(
            f"lengths of {len(known):,} rationales: mean {np.mean(known):.0f}, median "
            f"{np.median(known):.0f}, 99 % {np.percentile(known, 99):.0f}"
        )
    parts, rounds = options.parts.split(","), options.rounds or (1 if options.quick else 3)
    if "greedy" in parts:
        greedy(16 if options.quick else 64, rounds, 8 if options.quick else options.batch, known)
    if "samples" in parts:
        sampled(1 if options.quick else 2, 16 if options.quick else 40, rounds, known)
    if "equal" in parts:
        sampled(1, 40, rounds, known, equal=32)
    if "prefix" in parts:
        prefixed(8, rounds)
        if not options.quick:
            prefixed(64, rounds)
    if "likelihood" in parts:
        likelihood(4 if options.quick else 16, rounds)


if __name__ == "__main__":
    main()
