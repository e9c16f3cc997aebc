"""T5X checkpoints, written here as T5X publishes them, become Hugging Face folders of the same logits, and
come back as they were."""

import gzip
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError, SetupError
from openflan.models import t5x
from openflan.models.load_model import load_pretrained, save_pretrained
from openflan.models.t5x import from_t5x, is_t5x, to_t5x
from openflan.models.t5x_files import msgpack_bytes, open_array, write_array

LAYERS, DECODER_LAYERS, WIDTH, HEADS, HEAD, INNER, BUCKETS, VOCABULARY = 2, 3, 12, 2, 5, 16, 8, 21
SIZES = {
    "vocab_size": VOCABULARY,
    "d_model": WIDTH,
    "d_kv": HEAD,
    "d_ff": INNER,
    "num_layers": LAYERS,
    "num_decoder_layers": DECODER_LAYERS,
    "num_heads": HEADS,
    "relative_attention_num_buckets": BUCKETS,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
}


def write_zarr(
    folder: Path,
    values: np.ndarray,
    chunks: tuple[int, ...] | None = None,
    compressor: str | None = "gzip",
    **changes: Any,
) -> None:
    """Zarr version 2 as its specification says: full chunks, named by their place, in C order."""
    folder.mkdir(parents=True)
    chunks = chunks or values.shape
    metadata = {
        "zarr_format": 2,
        "shape": values.shape,
        "chunks": chunks,
        "dtype": "<f4",
        "order": "C",
        "fill_value": None,
        "filters": None,
    }
    metadata["compressor"] = None if compressor is None else {"id": compressor, "level": 1}
    (folder / ".zarray").write_text(json.dumps(metadata | changes))
    pack: Callable[[bytes], bytes] = {"gzip": gzip.compress, "zlib": zlib.compress}.get(
        str(compressor), bytes
    )
    counts = [-(-size // chunk) for size, chunk in zip(values.shape, chunks, strict=True)]
    for index in np.ndindex(*counts):
        block = np.full(chunks, 7, dtype=values.dtype)
        inside = values[
            tuple(slice(at * chunk, (at + 1) * chunk) for at, chunk in zip(index, chunks, strict=True))
        ]
        block[tuple(slice(size) for size in inside.shape)] = inside
        (folder / (".".join(map(str, index)) or "0")).write_bytes(pack(block.tobytes()))


def made(kind: str) -> Any:
    torch.manual_seed(3)
    classes = {"umt5": (hf.UMT5ForConditionalGeneration, hf.UMT5Config)}
    family, config = classes.get(kind, (hf.T5ForConditionalGeneration, hf.T5Config))
    tied = kind == "t5 1.0"
    model = family(
        config(**SIZES, feed_forward_proj="relu" if tied else "gated-gelu", tie_word_embeddings=tied)
    ).eval()
    if not tied:
        model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.shared.weight))
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(
                torch.randn_like(weight) * (weight.shape[-1] ** -0.5 if weight.ndim == 2 else 0.1)
                + (weight.ndim == 1)
            )
    model.config.tie_word_embeddings = tied
    return model


def written(model: Any, folder: Path, *, stacked: bool = False, per_head: bool = False) -> Path:
    """A T5X checkpoint of a model's weights, by the names and shapes of t5x/examples/t5/network.py; stacked,
    by those of the public scanned models."""
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    arrays: dict[str, list[np.ndarray]] = {}

    def put(name: str, values: np.ndarray) -> None:
        arrays.setdefault(name, []).append(values)

    for stack, count in (("encoder", LAYERS), ("decoder", DECODER_LAYERS)):
        for index in range(count):
            here = f"{stack}.{stack}." if stacked else f"{stack}.layers_{index}."
            block = f"{stack}.block.{index}.layer."
            first = "attention" if stack == "encoder" else "self_attention"
            put(f"{here}pre_{first}_layer_norm.scale", weights[f"{block}0.layer_norm.weight"])
            attention = [(f"{block}0.SelfAttention", first)]
            if stack == "decoder":
                attention.append((f"{block}1.EncDecAttention", "encoder_decoder_attention"))
                put(f"{here}pre_cross_attention_layer_norm.scale", weights[f"{block}1.layer_norm.weight"])
            for theirs, name in attention:
                for short, long in (("q", "query"), ("k", "key"), ("v", "value")):
                    kernel = weights[f"{theirs}.{short}.weight"].T
                    put(
                        f"{here}{name}.{long}.kernel",
                        kernel.reshape(WIDTH, HEADS, HEAD) if per_head else kernel,
                    )
                out = weights[f"{theirs}.o.weight"].T
                put(f"{here}{name}.out.kernel", out.reshape(HEADS, HEAD, WIDTH) if per_head else out)
            last = f"{block}{len(attention)}"
            put(f"{here}pre_mlp_layer_norm.scale", weights[f"{last}.layer_norm.weight"])
            for name in ("wi", "wi_0", "wi_1", "wo"):
                if f"{last}.DenseReluDense.{name}.weight" in weights:
                    put(f"{here}mlp.{name}.kernel", weights[f"{last}.DenseReluDense.{name}.weight"].T)
            bias = weights.get(f"{block}0.SelfAttention.relative_attention_bias.weight")
            if bias is not None:
                per_layer = model.config.model_type == "umt5"
                put(f"{here if per_layer else stack + '.'}relpos_bias.rel_embedding", bias.T)
        arrays[f"{stack}.{stack}_norm.scale"] = [weights[f"{stack}.final_layer_norm.weight"]]
    arrays["token_embedder.embedding"] = [weights["shared.weight"]]
    if model.lm_head.weight is not model.shared.weight:
        arrays["decoder.logits_dense.kernel"] = [weights["lm_head.weight"].T]
    for name, parts in arrays.items():
        write_zarr(
            folder / f"target.{name}",
            np.stack(parts, 1) if len(parts) > 1 else parts[0],
            tuple(max(1, size // 2) for size in parts[0].shape) if len(parts) == 1 else None,
        )
    write_zarr(folder / "state.param_states.token_embedder.embedding.v_row", np.ones(3, dtype=np.float32))
    (folder / "checkpoint").write_bytes(b"not read")
    return folder


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    inputs, targets = torch.tensor([[4, 9, 2, 7, 7, 3, 1]]), torch.tensor([[0, 5, 6, 8]])
    return model.eval()(input_ids=inputs, decoder_input_ids=targets).logits


LAYOUTS = [
    ("t5 1.1", False, False),
    ("t5 1.0", False, False),
    ("t5 1.1", True, False),
    ("t5 1.1", False, True),
    ("t5 1.0", True, True),
    ("umt5", True, True),
    ("umt5", True, False),
    ("umt5", False, False),
]


@pytest.mark.parametrize(("kind", "stacked", "per_head"), LAYOUTS)
def test_a_checkpoint_becomes_a_folder_with_the_same_logits_and_comes_back(
    kind: str, stacked: bool, per_head: bool, tmp_path: Path
) -> None:
    model = made(kind)
    folder = written(model, tmp_path / "t5x" / "checkpoint_1100000", stacked=stacked, per_head=per_head)
    config = from_t5x(folder, tmp_path / "hf")
    expected = {key: value for key, value in SIZES.items() if key in config}
    assert {key: config[key] for key in expected} == expected
    plain = hf.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "hf")
    assert type(plain) is type(model)
    # transformers takes umT5's head for tied whatever its configuration says, and scales its logits as if it
    # were; `load_pretrained` does not.
    assert torch.allclose(
        logits(plain) * (WIDTH**0.5 if kind == "umt5" else 1),
        logits(model),
        rtol=1e-4 if kind == "umt5" else 0,
        atol=1e-6 if kind == "umt5" else 0,
    )
    loaded = load_pretrained(str(tmp_path / "hf"))
    assert torch.equal(logits(loaded), logits(model))
    assert logits(model).abs().max() > 0.1
    # And back, from the folder as transformers itself would save it.
    save_pretrained(loaded, tmp_path / "saved")
    count = to_t5x(tmp_path / "saved", tmp_path / "back" / "checkpoint_1198000", stacked=stacked)
    again = {
        path.name: open_array(path).read()
        for path in sorted((tmp_path / "back" / "checkpoint_1198000").glob("target.*"))
    }
    first = {path.name: open_array(path).read() for path in sorted(folder.glob("target.*"))}
    assert len(again) == count
    assert again.keys() == first.keys()
    for name, values in first.items():
        # A kernel by heads comes back as one matrix, which T5X's own T5 has.
        assert per_head or np.array_equal(again[name], values), name
    from_t5x(tmp_path / "back", tmp_path / "hf again")
    assert torch.equal(logits(load_pretrained(str(tmp_path / "hf again"))), logits(model))


def test_the_last_of_several_checkpoints_is_taken(tmp_path: Path) -> None:
    first, second = made("t5 1.1"), made("t5 1.1")
    with torch.no_grad():
        second.shared.weight.mul_(2)
    written(first, tmp_path / "runs" / "checkpoint_999")
    written(second, tmp_path / "runs" / "checkpoint_1000")
    assert is_t5x(tmp_path / "runs")
    from_t5x(tmp_path / "runs", tmp_path / "hf")
    assert torch.equal(logits(hf.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "hf")), logits(second))


def test_large_models_are_written_in_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t5x, "SHARD_BYTES", 3_000)
    model = made("t5 1.1")
    from_t5x(written(model, tmp_path / "t5x", stacked=True), tmp_path / "hf")
    files = sorted(path.name for path in (tmp_path / "hf").glob("*.safetensors"))
    assert len(files) > 3
    assert files[0] == f"model-00001-of-{len(files):05}.safetensors"
    index = json.loads((tmp_path / "hf" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == set(files)
    assert index["metadata"]["total_size"] == sum(4 * weight.numel() for weight in model.parameters())
    assert torch.equal(logits(hf.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "hf")), logits(model))
    to_t5x(tmp_path / "hf", tmp_path / "back")
    assert torch.equal(
        torch.from_numpy(open_array(tmp_path / "back" / "target.token_embedder.embedding").read()),
        model.shared.weight,
    )


@settings(max_examples=30, deadline=None)
@given(
    shape=st.lists(st.integers(1, 7), min_size=0, max_size=4).map(tuple),
    seed=st.integers(0, 99),
    compressor=st.sampled_from([None, "gzip", "zlib"]),
    data=st.data(),
)
def test_arrays_in_chunks_are_read_whole(
    shape: tuple[int, ...],
    seed: int,
    compressor: str | None,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    chunks = tuple(data.draw(st.integers(1, size + 2)) for size in shape)
    folder = tmp_path_factory.mktemp("arrays") / "one"
    write_zarr(folder, values, chunks, compressor)
    assert np.array_equal(open_array(folder).read(), values)


@pytest.mark.parametrize(("dtype", "exact"), [("<f2", np.float16), ("<f8", np.float64)])
def test_other_floats_are_read(dtype: str, exact: type, tmp_path: Path) -> None:
    values = np.arange(6).reshape(2, 3).astype(exact) / 4
    write_zarr(tmp_path / "one", values, dtype=dtype)
    assert np.array_equal(open_array(tmp_path / "one").read(), values.astype(np.float32))


@pytest.mark.parametrize("dtype", ["bfloat16", "<u2"])
def test_bfloat16_is_read_as_torch_reads_it(dtype: str, tmp_path: Path) -> None:
    exact = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).bfloat16()
    write_zarr(tmp_path / "one", exact.view(torch.uint16).numpy(), dtype=dtype)
    assert torch.equal(torch.from_numpy(open_array(tmp_path / "one").read()), exact.float())


@pytest.mark.parametrize("limit", [1, 50, 10**9])
def test_what_is_written_is_read(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openflan.models.t5x_files.CHUNK_BYTES", limit)
    values = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float32)
    write_array(tmp_path / "one", values)
    assert np.array_equal(open_array(tmp_path / "one").read(), values)
    write_array(tmp_path / "two", values)
    assert {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()
    }
    assert len(list((tmp_path / "one").iterdir())) - 1 == {1: 7, 50: 4, 10**9: 1}[limit]


def unpacked(raw: bytes) -> Any:
    """The kinds of msgpack that the index uses, by the format's specification."""

    def one(at: int) -> tuple[Any, int]:
        kind, size = raw[at], struct.unpack(">I", raw[at + 1 : at + 5])[0]
        if kind == 0xD3:
            return struct.unpack(">q", raw[at + 1 : at + 9])[0], at + 9
        if kind == 0xDB:
            return raw[at + 5 : at + 5 + size].decode(), at + 5 + size
        values, at = [], at + 5
        for _ in range(size * (2 if kind == 0xDF else 1)):
            value, at = one(at)
            values.append(value)
        assert kind in (0xDD, 0xDF)
        return (dict(zip(values[::2], values[1::2], strict=True)) if kind == 0xDF else values), at

    value, end = one(0)
    assert end == len(raw)
    return value


def test_the_index_says_where_every_array_lies(tmp_path: Path) -> None:
    save_pretrained(made("t5 1.1"), tmp_path / "hf")
    count = to_t5x(tmp_path / "hf", tmp_path / "checkpoint_1184000")
    index = unpacked((tmp_path / "checkpoint_1184000" / "checkpoint").read_bytes())
    assert index["version"] == 3
    assert index["optimizer"]["state"]["step"] == 1_184_000
    specs = []

    def walk(tree: dict[str, Any], path: tuple[str, ...]) -> None:
        for key, inner in tree.items():
            if "driver" in inner:
                specs.append(inner)
                assert inner["kvstore"]["path"] == ".".join((*path, key))
                zarray = json.loads(
                    (tmp_path / "checkpoint_1184000" / inner["kvstore"]["path"] / ".zarray").read_text()
                )
                assert {name: zarray[name] for name in inner["metadata"]} == inner["metadata"]
            else:
                walk(inner, (*path, key))

    walk({"target": index["optimizer"]["target"]}, ())
    assert len(specs) == count


def test_the_index_holds_nothing_else() -> None:
    with pytest.raises(TypeError, match="a float has no place in the index"):
        msgpack_bytes({"a": 0.5})


def broken(tmp_path: Path) -> Path:
    return written(made("t5 1.1"), tmp_path / "t5x")


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


BREAKS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "an array gone": (
        lambda at: _remove(at / "target.decoder.layers_1.mlp.wo.kernel"),
        r"t5x: no target.decoder.layers_1.mlp.wo.kernel; is the copy complete\?",
    ),
    "a chunk gone": (
        lambda at: (at / "target.encoder.encoder_norm.scale" / "1").unlink(),
        r"encoder_norm.scale/1: missing, though .*; copy the checkpoint again",
    ),
    "a chunk cut": (
        lambda at: (at / "target.encoder.encoder_norm.scale" / "1").write_bytes(
            (at / "target.encoder.encoder_norm.scale" / "1").read_bytes()[:20]
        ),
        r"encoder_norm.scale/1: damaged .*; copy the checkpoint again",
    ),
    "a chunk of another size": (
        lambda at: (at / "target.encoder.encoder_norm.scale" / "1").write_bytes(gzip.compress(b"1234" * 5)),
        r"encoder_norm.scale/1: damaged \(cannot reshape",
    ),
    "no description": (
        lambda at: (at / "target.encoder.encoder_norm.scale" / ".zarray").unlink(),
        r"\.zarray: not a zarr array as T5X writes them",
    ),
    "zarr 3": (
        lambda at: (at / "target.encoder.encoder_norm.scale" / ".zarray").write_text(
            json.dumps({"zarr_format": 3, "dtype": "<f4"})
        ),
        r"not a zarr array as T5X writes them \(zarr format 3",
    ),
    "an array too many": (
        lambda at: write_zarr(
            at / "target.decoder.layers_0.router.kernel", np.ones((2, 2), dtype=np.float32)
        ),
        r"target.decoder.layers_0.router.kernel has no place in T5, mT5 or umT5",
    ),
    "another width": (
        lambda at: (
            _remove(at / "target.decoder.decoder_norm.scale"),
            write_zarr(at / "target.decoder.decoder_norm.scale", np.ones(5, dtype=np.float32)),
        ),
        (
            r"target.decoder.decoder_norm.scale gives decoder.final_layer_norm.weight the shape \(5,\), the "
            r"other arrays need \(12,\)"
        ),
    ),
    "a decoder alone": (
        lambda at: [_remove(path) for path in at.glob("target.encoder.*")],
        "no layers of an encoder; only T5's encoder-decoders",
    ),
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_broken_checkpoint_is_refused_and_nothing_written(what: str, tmp_path: Path) -> None:
    folder = broken(tmp_path)
    change, message = BREAKS[what]
    change(folder)
    with pytest.raises(InputError, match=message):
        from_t5x(folder, tmp_path / "hf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t5x"]


def test_a_compressor_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "numcodecs", None)
    write_zarr(tmp_path / "one", np.ones(3, dtype=np.float32), compressor="blosc")
    with pytest.raises(
        SetupError, match=r'compressed with blosc, which needs numcodecs: pip install "openflan\[t5x\]"'
    ):
        open_array(tmp_path / "one").read()


def test_what_is_no_checkpoint_or_no_t5_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        from_t5x(tmp_path / "nowhere", tmp_path / "hf")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"not a T5X checkpoint: no folder target.\* \(it holds nothing\)"):
        from_t5x(tmp_path / "empty", tmp_path / "hf")
    save_pretrained(
        hf.LlamaForCausalLM(
            hf.LlamaConfig(
                vocab_size=9, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
            )
        ),
        tmp_path / "llama",
    )
    with pytest.raises(
        InputError,
        match="expected a Hugging Face folder with safetensors of t5, mt5, umt5; found `model_type` 'llama'",
    ):
        to_t5x(tmp_path / "llama", tmp_path / "out")
    with pytest.raises(InputError, match="llama: something is there already"):
        from_t5x(broken(tmp_path), tmp_path / "llama")
