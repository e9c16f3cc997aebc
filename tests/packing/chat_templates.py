"""Chat templates of each kind, made up for the tests, and tokenizers that have them."""

from typing import Any

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from tokenizers import decoders as token_decoders
from transformers import PreTrainedTokenizerFast

TURN, END = "<|turn|>", "<|end|>"

STABLE = (
    "{% for m in messages %}<|turn|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
"""Every turn is written alike, whatever follows."""

TRIMMING = STABLE.replace("m['content']", "m['content'] | trim")
"""White space around a content is left out."""

OTHER_LAST_END = (
    "{% for m in messages %}<|turn|>{{ m['role'] }}\n{{ m['content'] }}"
    "{{ '<|stop|>' if loop.last else '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
"""The last turn ends otherwise than those before."""

ENDED_TWICE = (
    "{% for m in messages %}<|turn|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% else %}</s>{% endif %}"
)
"""The end of sequence stands behind the last turn, whose end token is that of all turns."""

THINKING = (
    "{% set at = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}"
    "{% set at.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% for m in messages %}<|turn|>{{ m.role }}\n{% set content = m.content or '' %}"
    "{% if m.role == 'assistant' %}{% set thought = m.reasoning_content or '' %}"
    "{% if '</think>' in content %}{% set thought = content.split('</think>')[0].split('<think>')[-1] %}"
    "{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{% if loop.index0 > at.last %}<think>\n{{ thought }}\n</think>\n{% endif %}{% endif %}"
    "{{ content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n<think>\n{% endif %}"
)
"""Thoughts stand in the last turn, history leaves them out, and the generation prompt opens them."""

TOOLS = (
    "{% if tools %}<|turn|>tools\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<|end|>\n{% "
    "endif %}"
    "{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content or '' }}"
    "{% for call in m.tool_calls or [] %}<call>{{ call.function.name }}"
    "{% for name, value in call.function.arguments.items() %} {{ name }}={{ value }}{% endfor %}</call>"
    "{% endfor %}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
"""Tools, calls with their arguments as objects, and results."""

TOOLS_AS_TEXT = TOOLS.replace(
    "{% for name, value in call.function.arguments.items() %} {{ name }}={{ value }}{% endfor %}",
    "{{ ' ' + call.function.arguments }}",
)
"""Arguments of calls are texts."""

PARTS = (
    "{% for m in messages %}<|turn|>{{ m.role }}\n{% for part in m.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
"""Contents are lists of parts, as for models that see images."""

ENDLESS = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
"""A turn ends where the next one begins."""

NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system here') }}{% endif %}" + STABLE
DEAF = STABLE.replace("{% for m in messages %}", "{% for m in messages if m.role != 'system' %}")
"""Leaves system messages out without a word."""

THOUGHTLESS = STABLE.replace("m['content']", "m['content'].split('</think>')[-1]")
"""Leaves thoughts out of every turn."""

KINDS = {
    "stable": STABLE,
    "trimming": TRIMMING,
    "other last end": OTHER_LAST_END,
    "ended twice": ENDED_TWICE,
    "thinking": THINKING,
    "tools": TOOLS,
    "tools as text": TOOLS_AS_TEXT,
    "parts": PARTS,
    "endless": ENDLESS,
}

CONTROL = ("<s>", "</s>", "<pad>", TURN, END, "<|stop|>", "<|user|>", "<|assistant|>", "<|system|>")
WORDS = ("<think>", "</think>", "<call>", "</call>")
"""Added as words of the vocabulary, not as control tokens."""


def byte_level(template: str | None, *, control: tuple[str, ...] = CONTROL) -> Any:
    """A tokenizer that writes every byte as a token, and has merges of blanks and line breaks."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ċ", "Ċ"), ("Ġ", "Ġ"), ("ĠĠ", "ĠĠ")]
    vocabulary = {
        token: number
        for number, token in enumerate([*alphabet, *("".join(pair) for pair in merges)], start=len(control))
    }
    made = Tokenizer(
        models.BPE({**dict(zip(control, range(len(control)), strict=True)), **vocabulary}, merges)
    )
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = token_decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    made.add_tokens([AddedToken(word, special=False, normalized=False) for word in WORDS])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>", name_or_path="some/model"
    )
    tokenizer.chat_template = template
    return tokenizer
