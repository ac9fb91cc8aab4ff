"""CNNs by name, from timm, torchvision or open_clip, cut into stages that run one after the other.

Training can freeze the early stages, whose filters are generic, and keep their activations on disk instead of computing
them every epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from statistics import fmean
from typing import Any, cast

from torch import nn

from ..errors import BackboneError, cause

IMAGENET_MEAN, IMAGENET_STD = 0.449, 0.226  # over the three channels


def create_backbone(name: str, *, pretrained: bool = False) -> nn.Sequential:
    """Build a CNN by its library's name for it, as a sequence of stages.

    Args:
        name: a timm model name (`tf_efficientnet_lite2`), `torchvision/NAME` (`torchvision/resnet50`), or
            `open_clip/NAME` for the image half of a CLIP (`open_clip/RN50`); timm's and open_clip's may name
            the weights (`convnext_base.fb_in22k`, `open_clip/RN50:openai`).
        pretrained: fetch the library's weights, from a model hub.

    Returns:
        Stages; run in order they turn pictures (B, 3, S, S) into a map (B, C, H, W).

    Raises:
        BackboneError: no such backbone, not a CNN with stages, or its library or weights are not available.
    """
    library, model_name = _split_name(name)
    families = {"timm": _timm_model, "torchvision": _torchvision_model, "open_clip": _open_clip_model}
    if library not in families:
        raise BackboneError(
            f"backbone {name!r}: unknown library {library!r}; use a timm name, torchvision/NAME or open_clip/NAME"
        )
    asks_hub = pretrained and library != "torchvision"
    try:
        with _one_hub_check() if asks_hub else nullcontext():
            model = families[library](model_name, pretrained=pretrained)
    except BackboneError:
        raise
    except Exception as exc:
        if not pretrained:
            raise
        raise BackboneError(  # urllib's, the hub's and open_clip's own errors have no base in common
            f"backbone {name!r}: its pretrained weights could not be fetched ({cause(exc)}); "
            "run where the model hub can be reached, or start from a crosslook checkpoint, such as --init base"
        ) from exc
    return nn.Sequential(*_stages(model, name))


def pixel_statistics(name: str) -> tuple[float, float]:
    """Return the mean and standard deviation of pixels that a backbone's pretrained weights expect, over all channels.

    Returns:
        Both for values in [0, 1]; ImageNet's if the library has none.

    Raises:
        BackboneError: timm knows no such name, or open_clip is needed and not installed.
    """
    library, model_name = _split_name(name)
    if library == "open_clip":
        open_clip = _open_clip()
        model_name, _, tag = model_name.partition(":")
        tag = tag or next(iter(open_clip.list_pretrained_tags_by_model(model_name)), "")
        weights = open_clip.get_pretrained_cfg(model_name, tag)
        mean = weights.get("mean") or open_clip.OPENAI_DATASET_MEAN
        return fmean(mean), fmean(weights.get("std") or open_clip.OPENAI_DATASET_STD)
    if library == "timm":
        weights = _timm(model_name).get_pretrained_cfg(model_name)
        return (fmean(weights.mean), fmean(weights.std)) if weights else (IMAGENET_MEAN, IMAGENET_STD)
    return IMAGENET_MEAN, IMAGENET_STD


def _split_name(name: str) -> tuple[str, str]:
    library, _, model_name = name.rpartition("/")
    return library or "timm", model_name


def _timm(name: str) -> Any:  # noqa: ANN401  a module without types
    """Import timm, and check that it knows the model and any weights in its name."""
    import timm  # noqa: PLC0415  heavy, and a text query never needs it

    if not timm.is_model(name):
        raise _unknown_model("timm", name, timm.list_models())
    model, _, tag = name.partition(".")
    if tag and name not in (known := timm.list_pretrained(f"{model}.*")):
        raise BackboneError(f"timm has no weights {tag!r} for {model!r}; there are {', '.join(known) or 'none'}")
    return timm


def _timm_model(name: str, *, pretrained: bool) -> nn.Module:
    return cast(nn.Module, _timm(name).create_model(name, pretrained=pretrained))


def _torchvision_model(name: str, *, pretrained: bool) -> nn.Module:
    from torchvision import models  # noqa: PLC0415  as above

    if name not in models.list_models():
        raise BackboneError(f"torchvision has no model {name!r}; see torchvision.models.list_models()")
    return cast(nn.Module, models.get_model(name, weights="DEFAULT" if pretrained else None))


def _open_clip_model(name: str, *, pretrained: bool) -> nn.Module:
    """Build the image half of a CLIP; the text half is built only to read weights that hold both."""
    open_clip = _open_clip()
    name, _, tag = name.partition(":")
    if name not in open_clip.list_models():
        raise _unknown_model("open_clip", name, open_clip.list_models())
    config = open_clip.get_model_config(name)
    vision = config["vision_cfg"]
    timm_name, layers = vision.get("timm_model_name"), vision.get("layers")
    if timm_name is None and not isinstance(layers, list):
        raise _not_a_cnn(f"open_clip/{name}")
    if pretrained:
        weights = open_clip.download_pretrained(open_clip.get_pretrained_cfg(name, _open_clip_tag(name, tag)))
        visual = open_clip.create_model(name, pretrained=str(weights)).visual
        return cast(nn.Module, visual.trunk if timm_name else visual)
    if timm_name:
        return _timm_model(timm_name, pretrained=False)
    from open_clip.modified_resnet import ModifiedResNet  # noqa: PLC0415  as above

    return cast(nn.Module, ModifiedResNet(layers, config["embed_dim"], heads=1, width=vision["width"]))


def _unknown_model(library: str, name: str, models: list[str]) -> BackboneError:
    similar = ", ".join(get_close_matches(name, models, 3, 0.5)) or f"none; see {library}.list_models()"
    return BackboneError(f"{library} has no model {name!r}; similar names: {similar}")


def _open_clip_tag(name: str, tag: str) -> str:
    """Return the tag of the weights: the one requested, or the only one."""
    tags = _open_clip().list_pretrained_tags_by_model(name)
    if not tags:
        raise BackboneError(f"open_clip has no weights for {name!r}; see open_clip.list_pretrained()")
    if not tag and len(tags) == 1:
        return str(tags[0])
    if tag not in tags:
        fault = f"has no weights {tag!r}" if tag else "has several weights"
        choice = ", ".join(f"open_clip/{name}:{known}" for known in tags)
        raise BackboneError(f"open_clip {fault} for {name!r}; choose among {choice}")
    return tag


def _open_clip() -> Any:  # noqa: ANN401  a module without types
    try:
        import open_clip  # noqa: PLC0415  optional, and heavy
    except ImportError as exc:
        raise BackboneError(
            f"backbones of open_clip need open_clip, which cannot be loaded ({exc}); "
            "pip install -c constraints.txt -e '.[towers]'"
        ) from exc
    return open_clip


@contextmanager
def _one_hub_check() -> Iterator[None]:
    """Check once whether the hub answers; if it does not, let its client search its cache only.

    By itself the client tries six times for each of two files, which takes a minute.
    """
    from huggingface_hub import constants, get_session  # noqa: PLC0415  as above

    try:
        get_session().head(constants.ENDPOINT, timeout=5)
    except Exception as exc:  # noqa: BLE001  the errors depend on the HTTP client of the hub's version
        unreachable = exc
    else:
        yield
        return
    setting, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    except OSError as exc:
        raise ConnectionError(f"{constants.ENDPOINT} cannot be reached: {cause(unreachable)}") from exc
    finally:
        constants.HF_HUB_OFFLINE = setting


def _stages(model: Any, name: str) -> list[nn.Module]:  # noqa: ANN401  three families with no common type
    """Cut a network into its stages, leaving pooling and classifier behind."""
    if hasattr(model, "conv_stem") and hasattr(model, "blocks"):  # timm EfficientNet, MobileNet
        head = [nn.Sequential(model.conv_head, model.bn2)] if hasattr(model, "bn2") else []  # else it follows pooling
        return [nn.Sequential(model.conv_stem, model.bn1), *model.blocks, *head]
    if all(hasattr(model, f"layer{i}") for i in (1, 2, 3, 4)):  # ResNet, in all three libraries
        return [nn.Sequential(*_resnet_stem(model)), model.layer1, model.layer2, model.layer3, model.layer4]
    if hasattr(model, "stem") and hasattr(model, "s4"):  # timm RegNet
        return _with_tail([model.stem, model.s1, model.s2, model.s3, model.s4], model)
    if hasattr(model, "stem") and hasattr(model, "stages"):  # timm ConvNeXt and relatives
        return _with_tail([model.stem, *model.stages], model)
    if isinstance(getattr(model, "features", None), nn.Sequential):  # torchvision EfficientNet, ConvNeXt, VGG
        return list(model.features)
    raise _not_a_cnn(name)


def _resnet_stem(model: Any) -> list[nn.Module]:  # noqa: ANN401  as above
    if hasattr(model, "conv3"):  # open_clip: three convolutions and average pooling
        convolutions = [getattr(model, f"{part}{i}") for i in (1, 2, 3) for part in ("conv", "bn", "act")]
        return [*convolutions, model.avgpool]
    return [model.conv1, model.bn1, getattr(model, "act1", None) or model.relu, model.maxpool]


def _with_tail(stages: list[nn.Module], model: nn.Module) -> list[nn.Module]:
    """Add to the last stage what some networks do between it and pooling."""
    parts = [getattr(model, part, None) for part in ("norm_pre", "norm", "final_conv", "final_act")]
    tail = [part for part in parts if part is not None and not isinstance(part, nn.Identity)]
    return [*stages[:-1], nn.Sequential(stages[-1], *tail)] if tail else stages


def _not_a_cnn(name: str) -> BackboneError:
    return BackboneError(f"backbone {name!r} is not a CNN with stages; use an EfficientNet, ResNet or ConvNeXt")
