"""Makes the tokenizer of the embedded world's models: byte-level BPE over its plain text, its ordinary
sentences and its instructions.

Nothing is random, so it comes out the same every time. The order of the texts is fixed, since BPE breaks ties
by it.

    python scripts/build_microflan_tokenizer.py FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from openflan.microflan.world import microflan_tasks, plain_sentences
from openflan.microflan.world.ordinary import ordinary_sentence
from openflan.randomness import Draws
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import packaged_wordings, wordings_for

VOCABULARY = 1_536
SENTINELS = 16
ROWS = 20


def texts() -> Iterator[str]:
    """What the vocabulary is made from; of held-out tasks nothing but what plain text says."""
    yield from plain_sentences()
    for index in range(2_000):
        yield ordinary_sentence(Draws("tokenizer", index))
    for name, task in microflan_tasks().items():
        if not task.held_out:
            renderer = Renderer(task, wordings_for(name, task.fields, packaged_wordings()))
            for row in range(min(ROWS, len(task.rows))):
                example = renderer.render(row, Style(rationale=row % 2 == 0), seed=0, position=row)
                yield from (example.inputs, example.targets)


def main(folder: Path) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "</s>", "<unk>", *(f"<extra_id_{number}>" for number in reversed(range(SENTINELS)))]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts(), trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    made.save_pretrained(folder)
    print(f"{folder}: {len(made):,} tokens")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
