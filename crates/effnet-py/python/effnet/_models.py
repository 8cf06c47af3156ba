"""Models by name: what timm's `create_model` and `list_models` are for timm."""

import re
from fnmatch import fnmatch
from os import PathLike
from typing import Iterable, List, Optional, Sequence, Tuple, Union

from . import _effnet
from ._effnet import Classifier


def create_model(
    name: Union[str, "PathLike[str]", None] = None,
    *,
    weights: Union[str, "PathLike[str]", None] = None,
    num_classes: Optional[int] = None,
    engine: str = "auto",
    device: str = "auto",
    dtype: str = "f32",
    threads: Optional[int] = None,
    labels: Union[str, "PathLike[str]", Sequence[str], None] = None,
    activation: Optional[str] = None,
    train_size: bool = False,
    img_size: Union[int, Tuple[int, int], None] = None,
    crop_pct: Optional[float] = None,
    crop_mode: Optional[str] = None,
    interpolation: Optional[str] = None,
    mean: Union[float, Sequence[float], None] = None,
    std: Union[float, Sequence[float], None] = None,
    exif_orientation: bool = False,
    lenient: bool = False,
    max_pixels: Optional[int] = None,
    cache_dir: Union[str, "PathLike[str]", None] = None,
    offline: bool = False,
) -> Classifier:
    """Load a model. The arguments are the command's options with the same names.

    Args:
        name: a timm name (``efficientnet_b0``, ``efficientnet_b0.ra_in1k``), a hub repository
            (``org/repo``, ``org/repo@revision``), a folder with ``config.json``, or a checkpoint
            file. Without it, the model whose weights are inside the package.
        weights: a checkpoint to load instead of the model's own weights, or ``"seeded:N"`` for
            generated ones.
        num_classes: how many classes generated weights get, or the checkpoint must have; 0 for no
            classifier.
        engine: ``"auto"``, ``"cpu"``, ``"candle"``, or one of another device.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"``, ``"metal"`` or ``"wgpu"``.
        dtype: ``"f32"``, ``"bf16"`` or ``"f16"``.
        threads: the most threads for decoding and inference together; by default inference has the
            physical cores and decoding all.
        labels: the classes' names, or a file of them.
        activation: ``"softmax"``, ``"sigmoid"`` or ``"none"``; by default what the model says.
        train_size: use the image size of the training, not the size at which the model tests best.
        img_size: the side of the network's input in pixels, or its height and width.
        crop_pct: the share of the resized image that the crop keeps.
        crop_mode: ``"center"``, ``"squash"`` or ``"border"``.
        interpolation: ``"nearest"``, ``"bilinear"``, ``"bilinear-no-antialias"``, ``"bicubic"`` or
            ``"lanczos"``.
        mean: for pixels from 0 to 1, one value or one per channel.
        std: for pixels from 0 to 1, one value or one per channel.
        exif_orientation: turn images as their EXIF orientation says; timm and Pillow do not.
        lenient: keep what could be decoded of a truncated image.
        max_pixels: refuse larger images; by default 179 megapixels.
        cache_dir: the folder of the model cache; by default that of ``huggingface_hub``.
        offline: use the cache only, never the network.

    Raises:
        UnknownModelError: no model has this name.
        HubError: a download failed.
        DeviceError: there is no such device.
        ModelError: files or weights that are missing or do not fit.
        ValueError: an argument with an impossible value.
    """
    return _effnet.load(dict(locals()))


def list_models(
    pattern: Union[str, Iterable[str], None] = None, pretrained: bool = False
) -> List[str]:
    """The names of models, sorted as timm sorts them.

    Args:
        pattern: only names that match: a pattern of ``fnmatch`` such as ``"tf_*b0*"``, or several.
        pretrained: only models with published weights, by their full names
            (``efficientnet_b0.ra_in1k``); otherwise all architectures.
    """
    models = _effnet.models()
    if pretrained:
        names = {f"{arch}.{tag}" if tag else arch for arch, tag, weights in models if weights}
    else:
        names = {arch for arch, _, _ in models}
    patterns = [pattern] if isinstance(pattern, str) else list(pattern or ())
    patterns = [each for each in patterns if each]
    if pretrained:
        # A pattern without a tag is one of architectures.
        patterns += [f"{each}.*" for each in patterns if "." not in each]
    if patterns:
        names = {name for name in names if any(fnmatch(name, each) for each in patterns)}
    return sorted(names, key=_natural)


def _natural(name: str) -> List[Tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name.lower())
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]
