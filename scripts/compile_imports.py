"""Imports what openflan uses, so that Python keeps the bytecode of it; the Makefile runs it once after an
install.

    python scripts/compile_imports.py [MODULE ...]

Compiling the whole of site-packages takes several times as long, and most of it is never imported.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from contextlib import suppress

import openflan

LATE = (
    "torch.distributed.fsdp",
    "transformers.generation.utils",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.encoder_decoder.configuration_encoder_decoder",
    "transformers.models.llama.modeling_llama",
    "transformers.models.t5.modeling_t5",
    "transformers.tokenization_python",
    "transformers.tokenization_utils_tokenizers",
    "transformers.convert_slow_tokenizer",
    "transformers.video_utils",
    "tokenizers.implementations",
    "tokenizers.normalizers",
    "typer.core",
    "typer.rich_utils",
    "rich.traceback",
)
"""What is imported only at work; names that a version lacks are passed over."""


def main() -> None:
    sys.dont_write_bytecode = False
    for module in pkgutil.walk_packages(openflan.__path__, "openflan."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            # A module that needs an extra, which is not installed here.
            if (error.name or "").partition(".")[0] == "openflan":
                raise
    for name in (*LATE, *sys.argv[1:]):
        with suppress(ImportError):
            importlib.import_module(name)


main()
