"""New tokens: old rows stay, new ones are drawn from a seed, and both matrices grow."""

from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from openflan.models.vocabulary import add_tokens, grow_embeddings


def model(kind: str) -> Any:
    torch.manual_seed(0)
    if kind == "t5":
        return T5ForConditionalGeneration(
            T5Config(vocab_size=20, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
        )
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=20, tie_word_embeddings=kind == "tied", **sizes))


@pytest.mark.parametrize("kind", ["t5", "tied", "untied"])
def test_old_rows_stay_and_new_ones_come_from_the_seed(kind: str) -> None:
    grown = [model(kind) for _ in range(3)]
    before = [
        matrix.weight.detach().clone()
        for matrix in (grown[0].get_input_embeddings(), grown[0].get_output_embeddings())
    ]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert [grow_embeddings(one, 23, seed) for one, seed in zip(grown, (1, 1, 2), strict=True)] == [
        4,
        4,
        4,
    ], "23 rows, to a multiple of eight"
    assert torch.equal(torch.get_rng_state(), state), "nobody else's draws change"
    after = [
        [matrix.weight for matrix in (item.get_input_embeddings(), item.get_output_embeddings())]
        for item in grown
    ]
    for index in range(2):
        assert after[0][index].shape == (24, 16)
        assert torch.equal(after[0][index][:20], before[index])
        assert torch.equal(after[0][index], after[1][index])
        new = after[0][index][20:]
        assert not torch.equal(new, after[2][index][20:])
        assert new.std() > 0.1 * before[index].std(), "drawn, not all near the mean of the old"
    assert (after[0][0] is after[0][1]) == (kind != "untied")


def test_room_that_is_there_is_used() -> None:
    made_model = model("t5")
    assert grow_embeddings(made_model, 20, 0) == 0
    assert made_model.get_input_embeddings().weight.shape[0] == 20


def test_tokens_are_found_as_they_stand() -> None:
    made = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "b": 2}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")
    add_tokens(tokenizer, ["<x>", "[S2S]"])
    add_tokens(tokenizer, [])
    assert len(tokenizer) == 5
    assert tokenizer("[S2S] a<x>b")["input_ids"] == [4, 1, 3, 2]
    assert tokenizer.decode([4, 1, 2], skip_special_tokens=True).split() == ["a", "b"]
