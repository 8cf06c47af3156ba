"""Makes tests/data/fine_tuned: networks with five classes as each library saves them, and its own
answers.

    KERAS_BACKEND=torch python make.py

See README.md.
"""

import argparse
import json
import math
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import lightning
import numpy as np
import timm
import timm.data
import timm.optim
import timm.utils
import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision.transforms import v2
from transformers import (
    MobileNetV1Config,
    MobileNetV1ForImageClassification,
    MobileNetV1ImageProcessor,
    TimmWrapperConfig,
    TimmWrapperForImageClassification,
    TimmWrapperImageProcessor,
)

ROOT = Path(__file__).resolve().parents[3]
OUT = ROOT / "tests/data/fine_tuned"
PHOTOS = ROOT / "examples/images"
CLASSES = ["daisy", "dandelion", "rose", "sunflower", "tulip"]
ASKED = ["chelsea.png", "coffee.png"]
# The images from which the batch norms get their statistics.
ALL = [*ASKED, "astronaut.png", "camera.png", "clock_motion.png", "grass.png", "rocket.jpg"]
# The least change of a probability that an error must cause; the tests allow 1e-3.
SHOWS = 2e-3

goldens = {}


def photo(name):
    return Image.open(PHOTOS / name).convert("RGB")


def hankel(shape, gain, generator):
    """Values in which each row is the previous one shifted by one: a matrix in one sequence of
    numbers, and `torch.save` stores only that."""
    fan_in = math.prod(shape[1:])
    line = torch.randn(shape[0] + fan_in - 1, generator=generator) * math.sqrt(gain / fan_in)
    inner = [math.prod(shape[at + 1 :]) for at in range(1, len(shape))]
    return line.as_strided(shape, (1, *inner))


@torch.no_grad()
def train(network, head, inputs):
    """Weights from a seed, batch norms that fit the photographs, and a head that tells them apart."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in network.named_parameters():
        if parameter.dim() > 1:
            parameter.data = hankel(parameter.shape, 1.5, generator)
        else:
            # One number, stored once. Mostly positive outputs keep rounding errors small.
            value = 1.0 + 0.2 * torch.rand(1, generator=generator)
            parameter.data = value.expand(parameter.shape)
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    network.eval()
    for norm in norms:
        norm.train()
    network(inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
    taken = {}
    hook = head.register_forward_pre_hook(lambda _, args: taken.update(features=args[0]))
    network(inputs)
    hook.remove()
    head.weight.data, head.bias.data = told_apart(taken["features"], generator)


def told_apart(features, generator):
    """A linear layer whose outputs differ by some units between photographs: the first two have
    different classes, neither of them certain."""
    while True:
        weight = torch.randn((len(CLASSES), features.shape[1]), generator=generator)
        outputs = features @ weight.T
        by = 1.5 / outputs.std(0)
        bias = -outputs.mean(0) * by + 0.3 * torch.randn(len(CLASSES), generator=generator)
        best = (outputs * by + bias)[: len(ASKED)].softmax(-1).max(-1)
        if best.indices[0] != best.indices[1] and best.values.min() > 0.4 and best.values.max() < 0.8:
            return weight * by[:, None], bias


@torch.no_grad()
def record(name, network, transform, others, head):
    """The library's answers, and whether an error would show in them."""

    def ask(transform, dtype=torch.float32):
        outputs = network(torch.stack([transform(photo(n)) for n in ASKED]).to(dtype))
        return getattr(outputs, "logits", outputs)

    logits = ask(transform)
    answers = logits.softmax(-1)
    keep(name, answers, logits)
    network.double()
    rounding = (ask(transform, torch.float64) - logits).abs().max() / logits.abs().max()
    network.float()
    print(f"  rounding: {rounding:.1e} of the largest logit")
    assert rounding < 3e-5
    for what, other in others.items():
        off = (ask(other).softmax(-1) - answers).abs().amax(-1)
        print(f"  {what}: {off.tolist()}")
        assert off.min() > SHOWS, what
    weight = head.weight.data
    head.weight.data = weight * 1.01
    off = (ask(transform).softmax(-1) - answers).abs().amax(-1)
    head.weight.data = weight
    print(f"  1% of the head: {off.tolist()}")
    assert off.max() > SHOWS


def keep(name, answers, logits=None):
    print(name, answers.numpy().round(3).tolist())
    assert answers.max() < 0.97, name
    goldens[name] = {
        image: {
            "probabilities": dict(zip(CLASSES, answers[i].tolist(), strict=True)),
            **({"logits": logits[i].tolist()} if logits is not None else {}),
        }
        for i, image in enumerate(ASKED)
    }


def stack(transform):
    return torch.stack([transform(photo(name)) for name in ALL])


def folder(name):
    path = OUT / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def changed_timm(config):
    """timm's transforms with one value changed."""
    other = {"bicubic": "bilinear", "bilinear": "bicubic"}[config["interpolation"]]
    # Almost all of the image, unless that is already the value.
    crop_pct = 0.8 if config["crop_pct"] > 0.87 else 1.0
    changes = {
        "interpolation": other,
        "crop_pct": crop_pct,
        "mean": (0.0, 0.0, 0.0),
        "std": tuple(value * 1.3 for value in config["std"]),
    }
    return {k: timm.data.create_transform(**{**config, k: v}) for k, v in changes.items()}


def timm_state_dict():
    model = timm.create_model("lcnet_050", num_classes=len(CLASSES))
    config = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**config)
    train(model, model.classifier, stack(transform))
    torch.save(model.state_dict(), folder("timm") / "flowers.pth")
    record("timm/flowers.pth", model, transform, changed_timm(config), model.classifier)


def timm_train():
    """Saves as timm's train.py does: arguments in a Namespace, averages, its own CheckpointSaver."""
    args = argparse.Namespace(
        model="efficientnet_lite0", num_classes=5, in_chans=None, input_size=None, img_size=192, crop_pct=0.95,
        mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25], interpolation="bilinear", bn_eps=None, class_map="",
        lr=0.05, opt="sgd", model_ema=True, epochs=10, data_dir="flowers", experiment="",
    )  # fmt: skip
    model = timm.create_model(args.model, num_classes=args.num_classes)
    ema = timm.utils.ModelEmaV3(model)
    config = timm.data.resolve_data_config(vars(args), model=ema.module)
    transform = timm.data.create_transform(**config)
    train(ema.module, ema.module.classifier, stack(transform))
    # The trained weights differ from their averages.
    for tensor in [*model.parameters(), *(b for b in model.buffers() if b.dim() > 0)]:
        tensor.data = torch.tensor(0.25).expand(tensor.shape)
    optimizer = timm.optim.create_optimizer_v2(model, opt=args.opt, lr=args.lr)
    with tempfile.TemporaryDirectory() as saved:
        saver = timm.utils.CheckpointSaver(
            model, optimizer, args=args, model_ema=ema, checkpoint_dir=saved, recovery_dir=saved
        )
        saver.save_checkpoint(3, metric=np.float64(71.5))
        shutil.copy(Path(saved) / "model_best.pth.tar", folder("timm"))
    (OUT / "timm/class_to_idx.json").write_text(json.dumps({name: i for i, name in enumerate(CLASSES)}))
    record("timm/model_best.pth.tar", ema.module, transform, changed_timm(config), ema.module.classifier)


def timm_folder():
    model = timm.create_model("mobilenetv3_small_050", num_classes=len(CLASSES))
    config = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**config)
    train(model, model.classifier, stack(transform))
    timm.models.save_for_hf(model, str(folder("timm") / "flowers"), model_config={"label_names": CLASSES})
    record("timm/flowers", model, transform, changed_timm(config), model.classifier)


def torchvision_transform(resize=256, crop=224, interpolation=v2.InterpolationMode.BILINEAR, mean=0.0, std=1.0):
    """As references/classification/presets.py evaluates."""
    return v2.Compose(
        [
            v2.Resize(resize, interpolation=interpolation, antialias=True),
            v2.CenterCrop(crop),
            v2.PILToTensor(),
            v2.ToDtype(torch.float, scale=True),
            v2.Normalize([m + mean for m in (0.485, 0.456, 0.406)], [s * std for s in (0.229, 0.224, 0.225)]),
        ]
    )


def changed_torchvision(interpolation, **values):
    bilinear, bicubic = v2.InterpolationMode.BILINEAR, v2.InterpolationMode.BICUBIC
    values["interpolation"] = interpolation
    changes = {
        "interpolation": bicubic if interpolation == bilinear else bilinear,
        "resize": 300,
        "mean": -0.4,
        "std": 1.3,
    }
    return {k: torchvision_transform(**{**values, k: v}) for k, v in changes.items()}


def torchvision_state_dicts():
    bilinear, bicubic = v2.InterpolationMode.BILINEAR, v2.InterpolationMode.BICUBIC
    (folder("torchvision") / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))

    # Replaces the last layer of the classifier.
    model = torchvision.models.mobilenet_v3_small()
    model.classifier[3] = nn.Linear(model.classifier[3].in_features, len(CLASSES))
    transform = torchvision.models.MobileNet_V3_Small_Weights.DEFAULT.transforms()
    train(model, model.classifier[3], stack(transform))
    torch.save(model.state_dict(), OUT / "torchvision/flowers.pth")
    record("torchvision/flowers.pth", model, transform, changed_torchvision(bilinear), model.classifier[3])

    # Replaces the whole classifier.
    model = torchvision.models.efficientnet_b0()
    model.classifier = nn.Sequential(nn.Dropout(0.3), nn.Flatten(), nn.Linear(1280, len(CLASSES)))
    transform = torchvision.models.EfficientNet_B0_Weights.DEFAULT.transforms()
    train(model, model.classifier[2], stack(transform))
    torch.save(model.state_dict(), OUT / "torchvision/flowers_b0.pth")
    record("torchvision/flowers_b0.pth", model, transform, changed_torchvision(bicubic), model.classifier[2])

    # Saved as references/classification/train.py does.
    model = torchvision.models.mobilenet_v3_small(num_classes=len(CLASSES))
    values = dict(resize=232, crop=208)
    transform = torchvision_transform(**values)
    train(model, model.classifier[3], stack(transform))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    checkpoint = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 30).state_dict(),
        "epoch": 9,
        "args": argparse.Namespace(
            model="mobilenet_v3_small", data_path="flowers", epochs=10, weights=None, interpolation="bilinear",
            val_resize_size=232, val_crop_size=208, train_crop_size=176, lr=0.5, opt="sgd", world_size=1,
        ),
    }  # fmt: skip
    torch.save(checkpoint, OUT / "torchvision/model_9.pth")
    record("torchvision/model_9.pth", model, transform, changed_torchvision(bilinear, **values), model.classifier[3])


def transformers_folders():
    labels = dict(enumerate(CLASSES))

    def save(name, model, processor, head, others):
        def transform(processor, **changes):
            return lambda image: processor(images=image, return_tensors="pt", **changes)["pixel_values"][0]

        train(model, head, stack(transform(processor)))
        for parameter in model.parameters():
            # safetensors needs this.
            parameter.data = parameter.data.contiguous()
        model.save_pretrained(folder("transformers") / name)
        processor.save_pretrained(OUT / "transformers" / name)
        others = {k: transform(processor, **{k: v}) for k, v in others.items()}
        record(f"transformers/{name}", model, transform(processor), others, head)

    config = MobileNetV1Config(id2label=labels, depth_multiplier=0.25, image_size=160)
    model = MobileNetV1ForImageClassification(config)
    processor = MobileNetV1ImageProcessor(size={"shortest_edge": 182}, crop_size={"height": 160, "width": 160})
    others = {"resample": 3, "size": {"shortest_edge": 200}, "image_mean": [0.2] * 3, "image_std": [0.3] * 3}
    save("flowers", model, processor, model.classifier, others)

    timms = timm.create_model("test_efficientnet", num_classes=len(CLASSES)).pretrained_cfg
    timms = {k: v for k, v in timms.items() if k in ("input_size", "interpolation", "crop_pct", "mean", "std")}
    config = TimmWrapperConfig.from_dict(
        {"architecture": "test_efficientnet", "num_classes": 5, "label_names": CLASSES, "pretrained_cfg": timms}
    )
    model = TimmWrapperForImageClassification(config)
    processor = TimmWrapperImageProcessor(config.pretrained_cfg, architecture=config.architecture)
    save("flowers-timm", model, processor, model.timm_model.classifier, {})


def keras_model():
    size = 160
    augmentation = [keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.1)]
    base = keras.applications.MobileNet(alpha=0.25, include_top=False, weights=None, input_shape=(size, size, 3))
    model = keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *augmentation,
            keras.layers.Rescaling(1 / 127.5, offset=-1),
            base,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(len(CLASSES), activation="softmax"),
        ]
    )

    def load(name, interpolation="nearest", size=size):
        image = keras.utils.load_img(PHOTOS / name, target_size=(size, size), interpolation=interpolation)
        return keras.utils.img_to_array(image)

    base.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(np.stack([load(n) for n in ASKED]), np.array([0, 1]), verbose=0)

    generator = torch.Generator().manual_seed(0)
    for weight in base.weights:
        shape = tuple(weight.shape)
        if len(shape) == 4:
            # Depthwise kernels have their channels third.
            h, w, i, o = shape
            depthwise = "depthwise" in weight.path
            rows = hankel((i, h, w) if depthwise else (o, h, w, i), 1.5, generator)
            value = rows.permute(1, 2, 0)[..., None] if depthwise else rows.permute(1, 2, 3, 0)
        else:
            value = 1.0 + 0.2 * torch.rand(1, generator=generator).expand(shape)
        weight.assign(value.numpy())
    batch = np.stack([load(n) for n in ALL]) / 127.5 - 1
    norms = [layer for layer in base.layers if isinstance(layer, keras.layers.BatchNormalization)]
    base.trainable = True
    for norm in norms:
        norm.momentum = 0.0
    base(batch, training=True)
    for norm in norms:
        norm.momentum = 0.99
    base.trainable = False
    features = torch.tensor(keras.ops.convert_to_numpy(base(batch, training=False))).mean((1, 2))
    weight, bias = told_apart(features, generator)
    model.layers[-1].set_weights([weight.T.numpy(), bias.numpy()])

    model.save(folder("keras") / "flowers.keras")
    (OUT / "keras/class_names.json").write_text(json.dumps(CLASSES))

    def answers(**changes):
        batch = np.stack([load(name, **changes) for name in ASKED])
        return torch.tensor(model.predict(batch, verbose=0))

    keep("keras/flowers.keras", answers())
    bilinear = answers(interpolation="bilinear")
    keep("keras/flowers.keras, bilinear", bilinear)
    off = (bilinear - answers()).abs().amax(-1)
    print(f"  bilinear: {off.tolist()}")
    assert off.min() > SHOWS
    keep("keras/flowers.keras, Resizing", resized(model, size))


def resized(model, size):
    """Answers for images resized as `image_dataset_from_directory` and a `Resizing` layer do it."""
    pixels = [np.asarray(photo(name), "float32") for name in ASKED]
    batch = [keras.ops.convert_to_numpy(keras.layers.Resizing(size, size)(image)) for image in pixels]
    return torch.tensor(model.predict(np.stack(batch), verbose=0))


class Flowers(lightning.LightningModule):
    def __init__(self, model_name, class_names, lr=1e-2):
        super().__init__()
        self.save_hyperparameters()
        self.backbone = timm.create_model(model_name, num_classes=0)
        self.head = nn.Linear(self.backbone.num_features, len(class_names))
        self.criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5, 1.0, 1.5]))

    def forward(self, x):
        return self.head(self.backbone(x))

    def training_step(self, batch, _):
        return self.criterion(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


def lightning_checkpoint():
    module = Flowers("efficientnet_b0", class_names=CLASSES)
    config = timm.data.resolve_model_data_config(module.backbone)
    transform = timm.data.create_transform(**config)
    data = torch.utils.data.TensorDataset(torch.zeros(2, 3, 64, 64), torch.tensor([0, 1]))
    with tempfile.TemporaryDirectory() as saved:
        trainer = lightning.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, default_root_dir=saved, enable_progress_bar=False,
            enable_checkpointing=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=2))
        train(module, module.head, stack(transform))
        trainer.save_checkpoint(folder("lightning") / "flowers.ckpt")
    record("lightning/flowers.ckpt", module, transform, changed_timm(config), module.head)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    torch.manual_seed(0)
    keras.utils.set_random_seed(0)
    timm_state_dict()
    (OUT / "timm/classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    timm_train()
    timm_folder()
    torchvision_state_dicts()
    transformers_folders()
    keras_model()
    lightning_checkpoint()
    (OUT / "goldens.json").write_text(json.dumps(goldens, indent=1) + "\n")
    for path in sorted(OUT.rglob("*")):
        if path.is_file():
            path.chmod(0o644)
            print(path.relative_to(OUT), path.stat().st_size)


if __name__ == "__main__":
    main()
