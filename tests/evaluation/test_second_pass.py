"""Zero-shot chains of thought in two passes, and answers with thinking blocks, from generation to score."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from openflan.cli.main import app
from openflan.errors import InputError
from openflan.evaluation import Benchmark, Example, gsm8k_benchmark, mmlu_benchmark, score_file
from openflan.evaluation.answer_form import TRIGGERS, AnswerForm, form_of_question, form_of_task
from openflan.evaluation.decoding import Decoding, decoding_of_variant
from openflan.evaluation.decoding_options import decoding_from_options
from openflan.evaluation.known_benchmarks import find_benchmark
from openflan.evaluation.record import evaluate_into
from openflan.evaluation.second_pass import check_second_pass
from openflan.inference import Completion, Request
from openflan.run_folder import Run

GSM8K = gsm8k_benchmark("cot", shots=0)
TWO_PASSES = Decoding(second_pass=True)


@dataclass
class Reasoner:
    """Reasons about the first word of a question, and answers in a second request; `kill_after` completions
    it dies."""

    fingerprint: str = "b" * 16
    kill_after: int | None = None
    asked: list[Request] = field(default_factory=list)
    thinks: bool = False

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        for index, request in enumerate(requests):
            if len(self.asked) == self.kill_after:
                raise KeyboardInterrupt
            self.asked.append(request)
            if "Therefore," in request.prompt:
                yield index, Completion(f" {len(self.asked) % 3 + 17}, I say.", 5, "eos")
            elif self.thinks and len(self.asked) % 2:
                yield index, Completion("", 9, "length", 0, "hm", False, 9)
            elif self.thinks:
                yield index, Completion(" The answer is 18.", 9, "eos", 0, "hm hm", True, 4)
            else:
                yield index, Completion(" Some reasoning, I am at 40", 7, "length")


def questions(benchmark: Benchmark, targets: Sequence[str] = ("18", "3", "70")) -> Benchmark:
    """The benchmark with questions of the test's own."""
    (task,) = benchmark.tasks
    rows = [
        Example(task, index, f"Q: word {index}\nA: Let's think step by step.", target, 0)
        for index, target in enumerate(targets)
    ]
    return replace(benchmark, examples=lambda task: rows)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_both_passes_are_saved_and_the_second_asks_with_the_published_trigger(tmp_path: Path) -> None:
    engine = Reasoner()
    run = Run(tmp_path)
    score = evaluate_into(run, "final", questions(GSM8K), engine, decoding=TWO_PASSES)
    first = lines_of(run.generations / "final-gsm8k-cot-0-shot.jsonl")
    second = lines_of(run.generations / "final-gsm8k-cot-0-shot-second-pass.jsonl")
    assert [line["generation"] for line in first] == [" Some reasoning, I am at 40"] * 3
    assert [line["first_pass"] for line in second] == [line["generation"] for line in first]
    assert engine.asked[3].prompt == (
        "Q: word 0\nA: Let's think step by step. Some reasoning, I am at 40\n"
        "Therefore, the answer (arabic numerals) is"
    )
    assert engine.asked[3].max_tokens == 32
    assert score.tasks["gsm8k"].extracted == 100
    assert (score.key.decoding, score.key.shots) == (TWO_PASSES, 0)
    # The same reasoning has no answer in one pass.
    one_pass = score_file(run.generations / "final-gsm8k-cot-0-shot.jsonl", GSM8K, partial=True)
    assert one_pass.tasks["gsm8k"].extracted == 0


@pytest.mark.parametrize("kill_after", [1, 2, 3, 4, 5])
def test_a_run_that_was_killed_in_either_pass_goes_on(tmp_path: Path, kill_after: int) -> None:
    run, benchmark = Run(tmp_path), questions(GSM8K)
    with pytest.raises(BaseException):  # noqa: B017, PT011
        evaluate_into(run, "final", benchmark, Reasoner(kill_after=kill_after), decoding=TWO_PASSES)
    rest = Reasoner()
    evaluate_into(run, "final", benchmark, rest, decoding=TWO_PASSES)
    assert len(rest.asked) == 6 - kill_after
    again = Reasoner()
    evaluate_into(run, "final", benchmark, again, decoding=TWO_PASSES)
    assert again.asked == []


def test_samples_are_answered_one_by_one(tmp_path: Path) -> None:
    class Sampler(Reasoner):
        def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
            for index, completion in super().generate(requests):
                for sample in range(requests[index].samples):
                    yield index, replace(completion, sample=sample)

    decoding = Decoding(3, 0.7, 40, second_pass=True)
    score = evaluate_into(Run(tmp_path), "final", questions(GSM8K), Sampler(), decoding=decoding)
    assert (score.key.decoding.samples, score.tasks["gsm8k"].samples) == (3, 3)
    assert decoding_of_variant(decoding.variant, 3) == decoding


FORMS = [
    (["18", "-3", "1,350", "#### 7"], AnswerForm("number")),
    (["(A)", "(C)", "(B)"], AnswerForm("letter", ("(A)", "(B)", "(C)"))),
    (["D", "B"], AnswerForm("letter", ("A", "B", "C", "D"))),
    (["yes", "no", "no"], AnswerForm("word", ("yes", "no"))),
    (["False"], AnswerForm("word", ("True", "False"))),
    (["] ]", "apple pear"], AnswerForm("text")),
    (["(A)"] * 99 + ["Monsters, Inc"], AnswerForm("letter", ("(A)", "(B)"))),
]


@pytest.mark.parametrize(("targets", "form"), FORMS)
def test_the_form_of_answers_is_that_of_a_tasks_targets(targets: list[str], form: AnswerForm) -> None:
    assert form_of_task(targets) == form


@pytest.mark.parametrize(
    ("form", "trigger"),
    [
        (AnswerForm("number"), "Therefore, the answer (arabic numerals) is"),
        (AnswerForm("letter", ("(A)", "(B)", "(C)")), "Therefore, among A through C, the answer is"),
        (AnswerForm("letter", tuple("ABCDE")), "Therefore, among A through E, the answer is"),
        (AnswerForm("word", ("Yes", "No")), "Therefore, the answer (Yes or No) is"),
        (AnswerForm(), "Therefore, the answer is"),
    ],
)
def test_triggers_are_the_published_ones(form: AnswerForm, trigger: str) -> None:
    assert form.trigger == trigger
    assert TRIGGERS.keys() == {"number", "letter", "word", "text"}


def test_letters_are_those_that_the_prompt_lists() -> None:
    form = form_of_question(AnswerForm("letter", ("(A)", "(B)")), "Options:\n(A) x\n(B) y\n(C) z\nA:")
    assert form == AnswerForm("letter", ("(A)", "(B)", "(C)"))


@pytest.mark.parametrize(
    ("form", "text", "answer"),
    [
        (AnswerForm("number"), " 1,350 dollars.\n\nQ: 7", "1350"),
        (AnswerForm("number"), ": 6.75 + 6.75 = 13.5", "6.75"),
        (AnswerForm("number"), " $-3.", "-3"),
        (AnswerForm("number"), " twelve", None),
        (AnswerForm("letter", ("(A)", "(B)", "(C)")), " B.", "(B)"),
        (AnswerForm("letter", ("(A)", "(B)", "(C)")), "\n\nThe answer is (C) because", "(C)"),
        (AnswerForm("letter", ("A", "B")), " the second one", None),
        (AnswerForm("letter", ("A", "B")), " E", None),
        (AnswerForm("word", ("Yes", "No")), ' "no", he is not', "No"),
        (AnswerForm("word", ("valid", "invalid")), " deductively invalid.", "invalid"),
        (AnswerForm(), " apple pear.\nmore", "apple pear"),
        (AnswerForm(), " ", None),
    ],
)
def test_the_answer_is_the_first_of_its_form(form: AnswerForm, text: str, answer: str | None) -> None:
    assert form.answer(text) == answer


@given(st.integers(-(10**6), 10**6), st.sampled_from(["", " dollars", ".", " % of 7", "\n\nQ: 3"]))
def test_numbers_are_found_whatever_follows(number: int, rest: str) -> None:
    assert AnswerForm("number").answer(f" {number:,}{rest}") == str(number)


def saved(task: str, index: int, text: str, target: str, **more: Any) -> str:
    return json.dumps({"task": task, "index": index, "generation": text, "target": target, **more})


def test_a_published_log_of_both_passes_is_scored_by_the_second() -> None:
    """Texts in the manner of the published logs: what the authors' program read is 70, 9, 6.75 and 26."""
    seconds = [" 70.", " 9. \n\nMilo can make it 9 inches long.", ": 6.75 + 6.75 = 13.5", " 26."]
    rows = [
        saved("gsm8k", index, text, target, first_pass="So the answer is 1.")
        for index, (text, target) in enumerate(zip(seconds, ["33", "9", "34", "26"], strict=True))
    ]
    score = score_file(rows, GSM8K, partial=True)
    assert score.tasks["gsm8k"].accuracy == 50
    assert score.key.decoding == TWO_PASSES
    apart = [
        line
        for index, (text, target) in enumerate(zip(seconds, ["33", "9", "34", "26"], strict=True))
        for line in (
            saved("gsm8k", index, "So the answer is 1.", target, **{"pass": 1}),
            saved("gsm8k", index, text, target, **{"pass": 2}),
        )
    ]
    assert score_file(apart, GSM8K, partial=True).tasks == score.tasks
    assert score_file(apart, GSM8K, partial=True).duplicates == 0


def test_letters_of_a_log_are_read_without_an_answer_phrase() -> None:
    rows = [
        saved("anatomy", index, text, target, first_pass="Hm.")
        for index, (text, target) in enumerate([(" B.", "B"), (" option (D)", "D"), (" none", "C")])
    ]
    task = score_file(rows, mmlu_benchmark("cot", shots=0), partial=True).tasks["anatomy"]
    assert (task.accuracy, task.extracted) == (pytest.approx(200 / 3), pytest.approx(200 / 3))


def test_thinking_is_kept_counted_and_unanswered_without_an_end(tmp_path: Path) -> None:
    run = Run(tmp_path)
    score = evaluate_into(run, "final", questions(GSM8K, ("18", "18", "18", "18")), Reasoner(thinks=True))
    lines = lines_of(run.generations / "final-gsm8k-cot-0-shot.jsonl")
    assert lines[1]["generation"] == " The answer is 18."
    assert (lines[1]["thinking"], lines[1]["thinking_tokens"]) == ("hm hm", 4)
    assert (lines[0]["generation"], lines[0]["thinking_closed"]) == ("", False)
    task, thinking = score.tasks["gsm8k"], score.thinking
    assert (task.accuracy, task.extracted) == (50, 50)
    assert thinking is not None
    assert (thinking.generations, thinking.closed, thinking.unclosed) == (4, 50, 2)
    assert (thinking.share, thinking.mean_tokens, thinking.longest_tokens) == (100, 6.5, 9)


def test_thinking_that_did_not_end_is_not_asked_about(tmp_path: Path) -> None:
    engine = Reasoner(thinks=True)
    score = evaluate_into(Run(tmp_path), "final", questions(GSM8K), engine, decoding=TWO_PASSES)
    assert sum("Therefore," in request.prompt for request in engine.asked) == 1
    assert score.tasks["gsm8k"].extracted == pytest.approx(100 / 3)
    assert score.thinking is not None
    assert score.thinking.unclosed == 2


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("<think>The answer is 7.</think>The answer is 18.", True),
        ("<think>The answer is 18.</think>I do not know.", False),
        ("<think>The answer is 18.", False),
        ("The answer is 7. [/THINK] The answer is 18.", True),
        ("The answer is 18.", True),
    ],
)
def test_blocks_in_files_of_other_programs_are_cut(text: str, right: bool) -> None:
    score = score_file([saved("gsm8k", 0, text, "18")], GSM8K, partial=True)
    assert score.tasks["gsm8k"].accuracy == 100 * right
    assert (score.thinking is None) == (text == "The answer is 18.")


def test_limits_reach_the_engine_and_default_to_four_times(tmp_path: Path) -> None:
    for given_limit, sent in ((None, 40), (15, 15)):
        engine = Reasoner()
        evaluate_into(
            Run(tmp_path / str(sent)),
            "final",
            questions(GSM8K),
            engine,
            max_tokens=10,
            thinking_tokens=given_limit,
        )
        assert {(one.max_tokens, one.thinking_tokens) for one in engine.asked} == {(10, sent)}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--mode", "direct"], "--mode cot --shots 0"),
        (["--mode", "cot", "--shots", "3"], "--shots 0"),
        (["--mode", "cot", "--shots", "0", "--likelihood"], "--likelihood"),
    ],
)
def test_a_second_pass_of_something_else_is_refused(options: list[str], word: str, tmp_path: Path) -> None:
    command = ["evaluate", "embedded:microflan-tiny", "--benchmark", "gsm8k", "--extract", "second-pass"]
    result = CliRunner().invoke(app, [*command, "--run", str(tmp_path), *options])
    assert isinstance(result.exception, InputError)
    assert word in str(result.exception)


def test_a_second_pass_after_the_usual_exemplars_is_refused() -> None:
    with pytest.raises(InputError, match="gsm8k.*8 are asked for: add `--shots 0`"):
        check_second_pass(gsm8k_benchmark("cot"), TWO_PASSES)
    with pytest.raises(InputError, match="likelihood"):
        check_second_pass(find_benchmark("hellaswag", "direct"), TWO_PASSES)


def test_an_unknown_extraction_names_the_nearest() -> None:
    with pytest.raises(InputError, match="second-pass"):
        decoding_from_options(1, None, None, 0, likelihood=False, normalized=False, extract="second_pass")
