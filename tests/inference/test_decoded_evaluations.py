"""Samples and likelihoods as lines of a generations file: resumed, scored, refused."""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_models import llama, t5

from openflan.errors import InputError
from openflan.evaluation import Benchmark, BenchmarkTask, Example, generate_to, score_file
from openflan.evaluation.benchmark import exactly
from openflan.evaluation.generate import Decoding
from openflan.evaluation.record import evaluate_into
from openflan.inference import Completion, HuggingFaceEngine, LikelihoodRequest, OptionScores, Request
from openflan.microflan.benchmarks import microflan_benchmark
from openflan.run_folder import Run

sys.path.append(str(Path(__file__).parents[1] / "cli"))
from commands import openflan

TOY = Benchmark(
    name="toy",
    mode="direct",
    tasks={"one": BenchmarkTask(5, 50.0), "two": BenchmarkTask(3, 50.0)},
    examples=lambda task: [
        Example(task, index, f"{task} {index} ?", "yes", 0, options=(" yes", " no way"))
        for index in range(TOY.tasks[task].size)
    ],
    extract=lambda task, generation: generation.strip() or None,
    compare=exactly,
    averages={"average": ("one", "two")},
    max_tokens=6,
    prompt_version="toy-1",
)
SAMPLED = Decoding(samples=4, temperature=0.7, top_k=40)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"t5": t5(tmp_path_factory.mktemp("t5")), "llama": llama(tmp_path_factory.mktemp("llama"))}


@pytest.mark.parametrize("family", ["t5", "llama"])
@pytest.mark.parametrize("decoding", [Decoding(), SAMPLED, Decoding(likelihood="sum")])
def test_a_run_cut_anywhere_resumes_to_the_same_scores(
    family: str, decoding: Decoding, folders: dict[str, Path], tmp_path: Path
) -> None:
    engine = HuggingFaceEngine.load(folders[family])
    uninterrupted = tmp_path / "whole.jsonl"
    generate_to(uninterrupted, TOY, engine, decoding=decoding)
    lines = uninterrupted.read_bytes()
    assert lines.count(b"\n") == 8 * decoding.samples
    draws = random.Random(0)
    for cut in [0, *(draws.randrange(len(lines)) for _ in range(4)), len(lines)]:
        path = tmp_path / f"{cut}.jsonl"
        path.write_bytes(lines[:cut])
        generate_to(path, TOY, engine, decoding=decoding)
        assert json.dumps(score_file(path, TOY).to_json()) == json.dumps(
            score_file(uninterrupted, TOY).to_json()
        )
        seen = [
            (item["task"], item["index"], item["sample"])
            for item in map(json.loads, path.read_text().splitlines())
        ]
        assert len(set(seen)) == len(seen) == 8 * decoding.samples


def test_more_samples_are_added_to_a_file(folders: dict[str, Path], tmp_path: Path) -> None:
    engine, path = HuggingFaceEngine.load(folders["t5"]), tmp_path / "toy.jsonl"
    assert generate_to(path, TOY, engine, decoding=SAMPLED).new == 32
    before = path.read_bytes()
    more = generate_to(path, TOY, engine, decoding=Decoding(samples=6, temperature=0.7, top_k=40))
    assert (more.new, more.found) == (16, 32)
    after = path.read_bytes().splitlines()
    assert set(before.splitlines()) < set(after)
    assert [json.loads(line)["sample"] for line in after] == list(range(6)) * 8
    scores = score_file(path, TOY)
    assert scores.key.decoding.samples == 6
    assert list(scores.curve) == ["1", "2", "5", "6"]
    for other in (
        Decoding(samples=4, temperature=0.8, top_k=40),
        Decoding(),
        Decoding(samples=4, temperature=0.7, top_k=40, seed=1),
        Decoding(likelihood="sum"),
    ):
        with pytest.raises(InputError, match="from another request"):
            generate_to(path, TOY, engine, decoding=other)


class Scoring:
    """Gives set scores: 'yes' is likelier as a whole, ' no way' a token."""

    fingerprint = "s" * 16

    def generate(self, requests: list[Request]) -> Iterator[tuple[int, Completion]]:
        yield from ((index, Completion("no", 1, "eos")) for index in range(len(requests)))

    def loglikelihood(self, requests: list[LikelihoodRequest]) -> Iterator[tuple[int, OptionScores]]:
        for index, _ in reversed(list(enumerate(requests))):
            yield index, OptionScores((), ()) if index == 7 else OptionScores((-2.0, -3.0), (1, 2))


def test_the_likelier_option_is_the_answer(tmp_path: Path) -> None:
    averages = {}
    for kind in ("sum", "mean"):
        decoding = Decoding(likelihood=kind)  # type: ignore[arg-type]
        result = generate_to(tmp_path / f"{kind}.jsonl", TOY, Scoring(), decoding=decoding)
        assert (result.new, result.too_long) == (8, 1)
        lines = [json.loads(line) for line in (tmp_path / f"{kind}.jsonl").read_text().splitlines()]
        first = next(line for line in lines if line["finish"] == "eos")
        assert (first["options"], first["log_probabilities"], first["option_tokens"]) == (
            [" yes", " no way"],
            [-2.0, -3.0],
            [1, 2],
        )
        averages[kind] = score_file(tmp_path / f"{kind}.jsonl", TOY).average
    assert averages == {"sum": pytest.approx((100 + 200 / 3) / 2), "mean": 0.0}


def test_what_cannot_be_scored_by_likelihood(folders: dict[str, Path], tmp_path: Path) -> None:
    class Mute:
        fingerprint = "m" * 16

        def generate(self, requests: list[Request]) -> Iterator[tuple[int, Completion]]:
            yield from ()

    with pytest.raises(InputError, match="this engine only generates text"):
        generate_to(tmp_path / "a.jsonl", TOY, Mute(), decoding=Decoding(likelihood="sum"))
    with pytest.raises(InputError, match="has no options to choose among"):
        generate_to(
            tmp_path / "b.jsonl",
            microflan_benchmark("cot", limit=1),
            Scoring(),
            decoding=Decoding(likelihood="sum"),
        )


def test_ways_of_decoding_stand_beside_each_other(folders: dict[str, Path], tmp_path: Path) -> None:
    engine, run = HuggingFaceEngine.load(folders["t5"]), Run(tmp_path)
    for decoding in (Decoding(), SAMPLED, Decoding(likelihood="sum"), Decoding(likelihood="mean"), SAMPLED):
        evaluate_into(run, "final", TOY, engine, decoding=decoding)
    names = [
        "final-toy-direct",
        "final-toy-direct-likelihood",
        "final-toy-direct-likelihood-normalized",
        "final-toy-direct-t0.7-k40",
    ]
    assert sorted(path.stem for path in run.generations.glob("*.jsonl")) == names
    saved = json.loads(run.scores.read_text())["scores"]
    kinds = [
        (score["decoding"]["likelihood"], score["decoding"]["samples"], score["decoding"]["temperature"])
        for score in saved
    ]
    assert sorted(kinds, key=str) == sorted(
        [(None, 1, 0.0), (None, SAMPLED.samples, 0.7), ("sum", 1, 0.0), ("mean", 1, 0.0)], key=str
    )


def test_the_command_line_samples_and_scores_options(folders: dict[str, Path], tmp_path: Path) -> None:
    microflan = ["evaluate", folders["t5"], "--benchmark", "microflan", "--limit", 2, "--run", tmp_path]
    task_name = next(
        name for name, task in microflan_benchmark("direct", limit=1).tasks.items() if task.chance
    )
    done = openflan(*microflan, "--subset", task_name, "--samples", 3, "--max-tokens", 4, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["samples"] == 3
    done = openflan(*microflan, "--subset", task_name, "--likelihood", "--json")
    assert done.returncode == 0, done.stderr
    score = json.loads(done.stdout)
    assert (score["variant"], score["tasks"][task_name]["extracted"]) == ("-likelihood", 100.0)
    files = sorted(path.stem for path in (tmp_path / "generations").glob("*.jsonl"))
    assert files == ["final-microflan-direct-likelihood", "final-microflan-direct-t0.7-k40"]
    again = openflan(
        "score",
        "microflan",
        "--generations",
        tmp_path / "generations" / f"{files[0]}.jsonl",
        "--partial",
        "--json",
    )
    assert json.loads(again.stdout)["average"] == score["average"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--normalized"], "`--normalized` needs `--likelihood`"),
        (["--likelihood", "--samples", 3], "draws no samples"),
        (["--samples", 3, "--temperature", 0], "would all be equal"),
        (["--temperature", 0, "--top-k", 3], "needs a temperature above 0"),
        (["--model-name", "x"], "is not an address"),
        (["--dtype", "float23"], "did you mean `float32`"),
        (["--chat"], "no chat template"),
    ],
)
def test_options_that_contradict_each_other(
    options: list[object], said: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    done = openflan(
        "evaluate", folders["t5"], "--benchmark", "microflan", "--limit", 1, "--run", tmp_path, *options
    )
    assert done.returncode == 2
    assert said in done.stderr


def test_a_server_needs_the_name_of_a_model(tmp_path: Path) -> None:
    for options, said in (
        ([], "name the model with `--model-name`"),
        (["--model-name", "m", "--dtype", "bfloat16"], "settings of the server"),
    ):
        done = openflan(
            "evaluate",
            "http://127.0.0.1:9/v1",
            "--benchmark",
            "microflan",
            "--limit",
            1,
            "--run",
            tmp_path,
            *options,
        )
        assert done.returncode == 2
        assert said in done.stderr
