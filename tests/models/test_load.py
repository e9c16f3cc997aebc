"""Models and tokenizers found, checked, initialised and exported."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, LlamaConfig, PreTrainedTokenizerFast

from openflan.errors import InputError
from openflan.models.load_model import (
    context_length,
    is_seq2seq,
    load_model,
    load_pretrained,
    load_tokenizer,
    pad_id,
    random_init,
    save_pretrained,
    seq2seq_by_config,
)
from openflan.recipe.schema import Model

T5 = {
    "model_type": "t5",
    "vocab_size": 60,
    "d_model": 24,
    "d_kv": 8,
    "d_ff": 40,
    "num_layers": 2,
    "num_heads": 3,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
GATED = T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
LLAMA = {
    "model_type": "llama",
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 96,
    "bos_token_id": 2,
    "eos_token_id": 1,
}
CONFIGS = {"tied": T5, "untied": GATED, "llama": LLAMA}


def _tokenizer(words: int = 40, pad: bool = True) -> Any:
    vocabulary = {"<pad>": 0, "</s>": 1, "<unk>": 2} | {f"w{number}": 3 + number for number in range(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {"eos_token": "</s>", "unk_token": "<unk>"} | ({"pad_token": "<pad>"} if pad else {})
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, name_or_path="words", **names)


def _section(config: dict[str, Any], **settings: Any) -> Model:
    return Model(config=config, tokenizer="words", **settings)


def _fresh(name: str, seed: int = 0) -> Any:
    return load_model(_section(CONFIGS[name]), _tokenizer(), seed).eval()


def _logits(model: Any) -> torch.Tensor:
    ids = torch.tensor([[5, 9, 11, 3, 1]])
    with torch.no_grad():
        return model(
            input_ids=ids, **({"decoder_input_ids": ids} if model.config.is_encoder_decoder else {})
        ).logits


def _same(first: Any, second: Any) -> bool:
    return all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole checkpoint of a small untied T5."""
    folder = tmp_path_factory.mktemp("whole") / "model"
    folder.mkdir()
    save_pretrained(_fresh("untied"), folder)
    _tokenizer().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", CONFIGS)
def test_random_weights_come_from_the_seed_alone(name: str) -> None:
    first = _fresh(name, seed=5)
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    assert _same(first, _fresh(name, seed=5))
    assert torch.equal(torch.random.get_rng_state(), before), "the caller's own randomness moved on"
    assert not _same(first, _fresh(name, seed=6))


def test_a_fresh_untied_model_guesses_evenly() -> None:
    """The head is scaled so that the loss starts near ln V."""
    losses = torch.logsumexp(_logits(_fresh("untied")), dim=-1) - _logits(_fresh("untied")).mean(dim=-1)
    assert losses.mean().item() == pytest.approx(math.log(60), rel=0.25)


@pytest.mark.parametrize("name", CONFIGS)
def test_ties_survive_export_and_reload(name: str, tmp_path: Path) -> None:
    model = _fresh(name)
    tied = name == "tied"
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) == tied
    save_pretrained(model, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["tie_word_embeddings"] is tied
    ours = load_pretrained(str(tmp_path / "out")).eval()
    assert (ours.get_output_embeddings().weight is ours.get_input_embeddings().weight) == tied
    assert _same(model, ours)
    assert torch.equal(_logits(model), _logits(ours))
    plain = (
        (AutoModelForSeq2SeqLM if name != "llama" else AutoModelForCausalLM)
        .from_pretrained(tmp_path / "out")
        .eval()
    )
    assert torch.equal(_logits(model), _logits(plain))


def test_an_untied_head_really_is_another_matrix() -> None:
    """Parameter counts tell: transformers' own T5 would be tied whatever the configuration says."""
    tied = _fresh("tied")
    extra = sum(
        value.numel()
        for value in load_model(_section(T5 | {"tie_word_embeddings": False}), _tokenizer(), 0).parameters()
    )
    assert extra - sum(value.numel() for value in tied.parameters()) == 60 * 24


@pytest.mark.parametrize("name", [*CONFIGS, "embedded:microflan-base"])
def test_a_base_is_begun_anew_in_its_own_shape(name: str, tmp_path: Path) -> None:
    """Every matrix of the base, other numbers in it, and the same ones for the same seed."""
    if name in CONFIGS:
        save_pretrained(_fresh(name, seed=5), tmp_path / "base")
        _tokenizer().save_pretrained(tmp_path / "base")
    base = str(tmp_path / "base") if name in CONFIGS else name
    section = random_init(Model(base=base))
    assert section.base is None
    assert random_init(section) == section
    old, (new, again) = (
        load_pretrained(base),
        (load_model(section, load_tokenizer(section), 3) for _ in range(2)),
    )
    assert {key: value.shape for key, value in new.state_dict().items()} == {
        key: value.shape for key, value in old.state_dict().items()
    }
    tied = [
        model.get_output_embeddings().weight is model.get_input_embeddings().weight for model in (old, new)
    ]
    assert tied[0] == tied[1]
    assert {value.dtype for value in new.parameters()} == {torch.float32}
    assert not torch.equal(new.get_input_embeddings().weight, old.get_input_embeddings().weight)
    assert _same(new, again)


def test_a_tokenizer_larger_than_the_model_is_refused() -> None:
    load_model(_section(T5), _tokenizer(words=57), 0)
    with pytest.raises(InputError, match="words has 61 tokens, the model embeds 60"):
        load_model(_section(T5), _tokenizer(words=58), 0)


def test_a_causal_model_and_a_sequence_to_sequence_model_are_told_apart(folder: Path) -> None:
    assert is_seq2seq(_fresh("tied"))
    assert not is_seq2seq(_fresh("llama"))
    assert seq2seq_by_config(Model(base=str(folder)))
    assert not seq2seq_by_config(_section(LLAMA))


def test_context_length_is_that_of_causal_models(folder: Path, tmp_path: Path) -> None:
    save_pretrained(_fresh("llama"), tmp_path / "out")
    assert context_length(str(tmp_path / "out")) == 96
    assert context_length(str(folder)) is None


def test_padding_is_eos_where_there_is_no_padding_token() -> None:
    model = _fresh("llama")
    assert pad_id(model, _tokenizer()) == 0
    assert pad_id(model, _tokenizer(pad=False)) == 1


def test_weights_arrive_in_float32(tmp_path: Path) -> None:
    save_pretrained(_fresh("llama").to(torch.bfloat16), tmp_path / "half")
    assert {value.dtype for value in load_pretrained(str(tmp_path / "half")).parameters()} == {torch.float32}


def _rates(model: Any) -> set[float]:
    """Every rate a forward in training would use."""
    dropout_rates = {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}
    for module in model.modules():
        dropout_rates |= {
            getattr(module, name)
            for name in ("dropout", "attention_dropout")
            if isinstance(getattr(module, name, None), int | float)
        }
    return dropout_rates


@pytest.mark.parametrize(
    "config", [T5, T5 | {"dropout_rate": 0}, GATED, LLAMA, LLAMA | {"attention_dropout": 0.3}]
)
@pytest.mark.parametrize("rate", [0.05, 0.0])
def test_dropout_reaches_every_layer(config: dict[str, Any], rate: float) -> None:
    model = load_model(_section(config, dropout=rate), _tokenizer(), 0)
    assert _rates(model) == {rate}
    assert getattr(model.config, "dropout_rate", rate) == rate
    assert getattr(model.config, "attention_dropout", rate) == rate
    model.train()
    torch.manual_seed(0)
    assert torch.equal(_logits(model), _logits(model)) == (rate == 0.0)


def test_without_a_setting_dropout_is_the_models_own() -> None:
    assert _rates(load_model(_section(T5 | {"dropout_rate": 0.2}), _tokenizer(), 0)) == {0.2}


def _edit_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _pickle_weights(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _drop_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["decoder.block.1.layer.0.SelfAttention.q.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _cut_weights(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no configuration": (
        lambda folder: (folder / "config.json").unlink(),
        "not a Hugging Face model folder: no config.json .it holds generation_config.json",
    ),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), r"no \*.safetensors"),
    "pickled weights": (_pickle_weights, r"no \*.safetensors .only pytorch_model.bin, which is pickled"),
    "broken configuration": (
        lambda folder: (folder / "config.json").write_text("{"),
        "config.json is not JSON",
    ),
    "unknown architecture": (
        lambda folder: _edit_config(folder, model_type="t55"),
        "cannot read its configuration",
    ),
    "no language model": (
        lambda folder: (folder / "config.json").write_text('{"model_type": "vit"}'),
        "an architecture that writes no text",
    ),
    "cut weights": (_cut_weights, "cannot read its weights"),
    "a weight is missing": (
        _drop_a_weight,
        "its weights lack decoder.block.1.layer.0.SelfAttention.q.weight",
    ),
    "more layers than weights": (
        lambda folder: _edit_config(folder, num_layers=3),
        "its weights lack encoder.block.2.*and 7 more",
    ),
    "other sizes": (
        lambda folder: _edit_config(folder, d_ff=48),
        "cannot read its weights: they have other sizes than its config.json",
    ),
    "another architecture": (
        lambda folder: (folder / "config.json").write_text(json.dumps(LlamaConfig(**LLAMA).to_dict())),
        "they have other sizes than its config.json",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.filterwarnings("ignore:.*not used, as its config.json:UserWarning")
def test_a_folder_that_is_no_whole_checkpoint_is_refused(what: str, folder: Path, tmp_path: Path) -> None:
    harm, message = BROKEN[what]
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    load_model(Model(base=str(broken)), _tokenizer(), 0)
    harm(broken)
    with pytest.raises(InputError, match=f"{broken}.*{message}"):
        load_model(Model(base=str(broken)), _tokenizer(), 0)


def test_weights_without_a_place_are_told(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "deep")
    _edit_config(tmp_path / "deep", num_layers=1)
    with pytest.warns(
        UserWarning, match=r"not used, as its config.json has no place for them: encoder.block.1.*and 7 more"
    ):
        load_pretrained(str(tmp_path / "deep"))


@pytest.mark.parametrize(
    ("files", "message"),
    [(("tokenizer.json",), "no tokenizer"), (("tokenizer.json", "tokenizer_config.json"), "no tokenizer")],
)
def test_a_folder_without_a_tokenizer_is_refused(
    files: tuple[str, ...], message: str, folder: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare)
    assert len(load_tokenizer(Model(base=str(bare)))) == 43
    for file in files:
        (bare / file).unlink()
    with pytest.raises(InputError, match=f"{bare}: {message}"):
        load_tokenizer(Model(base=str(bare)))


def test_a_broken_tokenizer_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "bad")
    (tmp_path / "bad" / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match="cannot read its tokenizer"):
        load_tokenizer(Model(base=str(tmp_path / "bad")))


def test_a_tokenizer_folder_needs_no_model(tmp_path: Path) -> None:
    _tokenizer().save_pretrained(tmp_path / "words")
    assert load_tokenizer(Model(config=T5, tokenizer=str(tmp_path / "words")))("w3 w4")["input_ids"] == [6, 7]


@pytest.mark.parametrize(
    "load", [load_pretrained, context_length, lambda name: load_tokenizer(Model(base=name))]
)
def test_a_folder_that_is_not_there_is_refused(load: Callable[[str], Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (T5 | {"model_type": "t55"}, "model.config: Unrecognized model identifier: t55"),
        (T5 | {"d_modle": 24}, "`d_modle` is not a setting of t5; did you mean `d_model`"),
        (T5 | {"d_model": "large"}, "model.config: .*d_model"),
        (LLAMA | {"num_attention_heads": 5}, "model.config: .*not a multiple"),
        ({"model_type": "vit"}, "model.config: Unrecognized configuration class"),
    ],
)
def test_a_configuration_that_makes_no_model_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_model(_section(config), _tokenizer(), 0)
