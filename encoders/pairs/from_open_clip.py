"""Export a pretrained pair of open_clip once into a folder of crosslook's. Needs PyTorch and open_clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..checkpoint.foreign_tokenizer import TOKENIZER
from ..errors import BackboneError, CheckpointError, cause
from ..export import OPSET, plain_attention, quiet
from ..progress import Progress, no_progress
from .description import IMAGE, TEXT, ImageInput, TextInput
from .importing import complete, new_pair
from .open_clip_halves import Half, image_half, text_half
from .towers import JOINT_STATES

START, END = "<start_of_text>", "<end_of_text>"
PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""How CLIP's tokenizer cuts a sentence into words."""


def export_open_clip(
    architecture: str,
    tag: str | None,
    directory: Path,
    *,
    name: str,
    licence: str | None = None,
    progress: Progress = no_progress,
) -> None:
    """Export a pair.

    Args:
        architecture: a name that open_clip knows.
        tag: its pretrained weights; None for random ones, as tests use.
        directory: a new folder for the pair.
        name: the model's name.
        licence: the licence of its weights, if known.
        progress: called as the work proceeds.

    Raises:
        BackboneError: open_clip is not installed, knows no such name, or cannot get the weights.
        CheckpointError: the pair cannot be exported or written; nothing is left half-done.
    """
    progress("loading", 0, 1)
    model, tokenizer, settings = _load(architecture, tag)
    progress("loading", 1, 1)
    context = int(getattr(tokenizer, "context_length", 77))
    size = settings["size"][0] if isinstance(settings["size"], (tuple, list)) else settings["size"]
    image = ImageInput(
        size=int(size),
        resize=settings["resize_mode"],
        interpolation=settings["interpolation"],
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
    )
    bias = getattr(model, "logit_bias", None)
    with new_pair(directory) as folder:
        progress("exporting", 0, 2)
        pixels = torch.rand(2, 3, image.size, image.size)
        _export(image_half(model, pixels), pixels, folder / IMAGE, "pixel_values", "image_embeds")
        progress("exporting", 1, 2)
        ids = tokenizer(["a photo of a cat", "two"])
        _export(text_half(model, ids), ids, folder / TEXT, "input_ids", "text_embeds")
        progress("exporting", 2, 2)
        pad, canonical = _write_tokenizer(tokenizer, folder / TOKENIZER)
        complete(
            folder,
            name=name,
            source=f"open_clip:{architecture}/{tag}",
            licence=licence,
            image=image,
            text=TextInput(context, pad, fill=True, canonical=canonical),
            scale=float(cast(Any, model).logit_scale.detach().exp()),
            bias=None if bias is None else float(bias.detach()),
        )


def _load(architecture: str, tag: str | None) -> tuple[nn.Module, Callable[..., Tensor], dict[str, Any]]:
    """Load a model, its tokenizer and its preprocessing."""
    try:
        import open_clip  # noqa: PLC0415  only an export needs it
    except ImportError as exc:
        raise BackboneError("open_clip is not installed: pip install 'crosslook[towers]'") from exc
    if architecture not in open_clip.list_models():
        raise BackboneError(f"open_clip has no architecture {architecture!r}")
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag is not None and tag not in tags:
        raise BackboneError(f"{architecture} has no weights {tag!r}; it has: {', '.join(tags) or 'none'}")
    try:
        quick_gelu = tag is not None and (open_clip.get_pretrained_cfg(architecture, tag) or {}).get("quick_gelu")
        model = open_clip.create_model(architecture, pretrained=tag, force_quick_gelu=bool(quick_gelu))
        tokenizer = open_clip.get_tokenizer(architecture)
    except Exception as exc:  # urllib's, the hub's and open_clip's own errors have no base in common
        raise BackboneError(
            f"the weights of open_clip:{architecture}/{tag} cannot be fetched ({cause(exc)}); with another machine, "
            "export them there, and give the folder to: crosslook models add DIR"
        ) from exc
    settings = open_clip.get_model_preprocess_cfg(model)
    return model.eval().float(), tokenizer, settings


def _export(half: Half, example: Tensor, path: Path, argument: str, output: str) -> None:
    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    try:
        with torch.no_grad(), plain_attention(), quiet():
            torch.onnx.export(
                half.eval(),
                (example,),
                path,
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=[argument],
                output_names=[output, JOINT_STATES][: len(half(example))],
                dynamic_shapes=dynamic,
                external_data=sum(p.numel() for p in half.parameters()) * 4 > 1_800_000_000,
            )
    except Exception as exc:  # the exporter raises anything for an unknown network
        raise CheckpointError(f"{path.stem} half: the network cannot be exported ({cause(exc)})") from exc


def _write_tokenizer(tokenizer: Any, path: Path) -> tuple[int, bool]:  # noqa: ANN401  open_clip's two kinds
    """Write a tokenizer as the tokenizers library reads it.

    Returns:
        The id of the padding token, and whether texts are made canonical first.
    """
    fast = getattr(getattr(tokenizer, "tokenizer", None), "backend_tokenizer", None)
    if fast is not None:  # one of transformers'
        fast.save(str(path))
        clean = getattr(getattr(tokenizer, "clean_fn", None), "__name__", "")
        return int(tokenizer.tokenizer.pad_token_id or 0), "canonicalize" in clean
    _bpe(tokenizer).save(str(path))
    return 0, False


def _bpe(tokenizer: Any) -> Any:  # noqa: ANN401  open_clip's
    """CLIP's own tokenizer, byte-level BPE of lower-cased words.

    Source: open_clip's `SimpleTokenizer`.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors  # noqa: PLC0415

    merges = [pair for pair, _ in sorted(tokenizer.bpe_ranks.items(), key=lambda item: item[1])]
    fast = Tokenizer(models.BPE(vocab=tokenizer.encoder, merges=merges, end_of_word_suffix="</w>", unk_token=END))
    fast.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    fast.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    ids = [(token, tokenizer.encoder[token]) for token in (START, END)]
    fast.add_special_tokens([AddedToken(token, special=True) for token, _ in ids])
    fast.post_processor = processors.TemplateProcessing(single=f"{START} $A {END}", special_tokens=ids)
    return fast
