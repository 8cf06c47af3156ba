"""Folders as transformers writes them, and what its pipeline makes of images: see README.md."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import timm
import torch
from transformers import (
    EfficientNetConfig,
    EfficientNetForImageClassification,
    EfficientNetImageProcessor,
    MobileNetV1Config,
    MobileNetV1ForImageClassification,
    MobileNetV1ImageProcessor,
    MobileNetV2Config,
    MobileNetV2ForImageClassification,
    MobileNetV2ImageProcessor,
    TimmWrapperConfig,
    TimmWrapperForImageClassification,
    TimmWrapperImageProcessor,
    pipeline,
)
from transformers.image_utils import load_image

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/parity"))
import seeded  # noqa: E402

OUT = ROOT / "tests/data/transformers"
IMAGES = ["examples/images/coffee.png", "examples/images/chelsea.png", "tests/data/images/exif_6.jpg"]
SEED = 0
LABELS = {0: "cat", 1: "dog", 2: "cup of coffee"}
ONE = {0: "spam"}

B0 = dict(width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=1280, id2label=LABELS)
IMAGENET = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.47853944, 0.4732864, 0.47434163])

CASES = {
    # Like google/efficientnet-b0.
    "efficientnet_published": (
        EfficientNetForImageClassification(EfficientNetConfig(image_size=224, **B0)),
        EfficientNetImageProcessor(size={"height": 224, "width": 224}, resample=0, **IMAGENET),
        "tf_efficientnet_b0",
    ),
    # Nothing has its default; the crop's offset is a half. The list of odd maps is B1's.
    "efficientnet_other": (
        EfficientNetForImageClassification(
            EfficientNetConfig(
                **{**B0, "depth_coefficient": 1.1},
                image_size=240,
                depthwise_padding=[16],
                hidden_act="relu",
                batch_norm_eps=0.01,
                problem_type="multi_label_classification",
            )
        ),
        EfficientNetImageProcessor(
            size={"height": 275, "width": 275},
            resample=3,
            do_center_crop=True,
            crop_size={"height": 240, "width": 240},
            rescale_factor=1 / 127.5,
            rescale_offset=True,
            include_top=False,
            image_mean=[0.1, -0.2, 0.05],
            image_std=[0.9, 1.1, 0.8],
        ),
        "tf_efficientnet_b1",
    ),
    "mobilenet_v2": (
        MobileNetV2ForImageClassification(MobileNetV2Config(id2label=LABELS)),
        MobileNetV2ImageProcessor(size={"shortest_edge": 255}, image_mean=[0.5] * 3, image_std=[0.5] * 3),
        "mobilenetv2_100",
    ),
    "mobilenet_v2_lanczos": (
        MobileNetV2ForImageClassification(
            MobileNetV2Config(id2label=LABELS, depth_multiplier=0.35, image_size=[96, 128], hidden_act="relu", tf_padding=False, problem_type="regression")
        ),
        MobileNetV2ImageProcessor(size={"height": 96, "width": 128}, do_center_crop=False, resample=1, do_rescale=False, image_mean=[120.0, 110.0, 100.0], image_std=[60.0, 50.0, 55.0]),
        "mobilenetv2_035",
    ),
    "mobilenet_v1": (
        MobileNetV1ForImageClassification(MobileNetV1Config(id2label=ONE, depth_multiplier=0.5, image_size=160, layer_norm_eps=0.002)),
        MobileNetV1ImageProcessor(size={"shortest_edge": 182}, crop_size={"height": 160, "width": 160}, do_normalize=False),
        "mobilenetv1_100",
    ),
}


def load(model, names, state):
    """Values under timm's names, in the order that both libraries' modules share."""
    theirs = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    assert len(theirs) == len(names), (len(theirs), len(names))
    values = {}
    for (key, tensor), (name, shape) in zip(theirs.items(), names, strict=True):
        # Widths may differ from timm's row.
        assert tensor.dim() == len(shape), (key, name)
        values[key] = torch.from_numpy(seeded.tensor(SEED, name, tuple(tensor.shape)))
    model.load_state_dict(values, strict=False)
    return model.eval()


def timm_names(architecture, classes):
    model = timm.create_model(architecture, num_classes=classes)
    return [(k, tuple(v.shape)) for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")]


def results(model, processor, plain):
    classify = pipeline("image-classification", model=model, image_processor=processor)
    found = []
    for name in IMAGES:
        path = str(ROOT / name)
        image = load_image(path)
        values = processor(images=image, return_tensors="pt")["pixel_values"][0]
        with torch.no_grad():
            logits = model(values[None]).logits[0]
        scores = {p["label"]: p["score"] for p in classify(path, top_k=len(logits))}
        pixels = plain(image)
        found.append(
            {
                "image": name,
                "shape": list(values.shape),
                "pixels": hashlib.sha256(pixels.tobytes()).hexdigest() if pixels is not None else None,
                "input": [float(values[c, y, x]) for c, y, x in ((0, 0, 0), (1, 5, 7), (2, -1, -1))],
                "logits": logits.tolist(),
                "scores": scores,
            }
        )
    return found


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    torch.manual_seed(0)
    goldens = {}
    for name, (model, processor, architecture) in CASES.items():
        load(model, timm_names(architecture, model.config.num_labels), model.state_dict())
        folder = OUT / name
        folder.mkdir(parents=True)
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(folder)
        processor.save_pretrained(folder)

        def plain(image, processor=processor):
            off = {"include_top": False} if hasattr(processor, "include_top") else {}
            pixels = processor(images=image, do_rescale=False, do_normalize=False, return_tensors="pt", **off)["pixel_values"][0]
            assert pixels.dtype == torch.uint8, pixels.dtype
            return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())

        goldens[name] = results(model, processor, plain)

    # timm's own file, with what transformers adds.
    config = TimmWrapperConfig.from_dict(
        {
            "architecture": "test_efficientnet",
            "num_classes": 3,
            "label_names": list(LABELS.values()),
            "problem_type": "multi_label_classification",
            "pretrained_cfg": {
                "input_size": [3, 96, 96],
                "test_input_size": [3, 128, 128],
                "crop_pct": 0.9,
                "test_crop_pct": 1.0,
                "interpolation": "bilinear",
                "mean": [0.5, 0.4, 0.3],
                "std": [0.2, 0.3, 0.25],
            },
        }
    )
    model = TimmWrapperForImageClassification(config)
    state = {k: torch.from_numpy(seeded.tensor(SEED, k, tuple(v.shape))) for k, v in model.timm_model.state_dict().items() if not k.endswith("num_batches_tracked")}
    model.timm_model.load_state_dict(state, strict=False)
    model.eval()
    model.config.architectures = [type(model).__name__]
    folder = OUT / "timm_wrapper"
    folder.mkdir(parents=True)
    model.config.save_pretrained(folder)
    processor = TimmWrapperImageProcessor(config.pretrained_cfg, architecture=config.architecture)
    goldens["timm_wrapper"] = results(model, processor, lambda image: None)

    (OUT / "goldens.json").write_text(json.dumps(goldens, indent=1) + "\n")


if __name__ == "__main__":
    main()
