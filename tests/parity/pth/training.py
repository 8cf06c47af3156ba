"""Makes the files in tests/data/pth/training as training scripts and libraries leave them.

    python training.py

All have the same small network, whose tensors are in `network.safetensors`; averages are in
`averages.safetensors`. The libraries themselves write the files: timm's CheckpointSaver and
ModelEmaV3, torchvision's reference script, Lightning's Trainer, PyTorch's AveragedModel.
"""

import argparse
import collections
import copy
import enum
import functools
import pickle
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

import lightning
import numpy as np
import omegaconf
import timm.utils
import torch
import torchmetrics
from safetensors.torch import save_file
from torch import nn

OUT = Path(__file__).resolve().parents[2] / "data" / "pth" / "training"
OUT.mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)


class Network(nn.Module):
    """A network with the tensors of a stem and a classifier, and values that f16 holds exactly."""

    def __init__(self, by=0.0):
        super().__init__()
        self.conv_stem = nn.Conv2d(3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(2)
        self.classifier = nn.Linear(2, 3)
        self.register_buffer("window", torch.ones(2), persistent=False)
        for number, value in enumerate(self.state_dict().values()):
            if value.is_floating_point():
                value.copy_((torch.arange(value.numel()).reshape(value.shape) + number) / 8 + by)

    def forward(self, x):
        return self.classifier(self.bn1(self.conv_stem(x)).mean((2, 3)))


class Backbone(Network):
    def __init__(self):
        super().__init__()
        self.classifier = nn.Identity()


def trained(model):
    """An optimizer with a state."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    kept = copy.deepcopy(model.state_dict())
    model(torch.zeros(2, 3, 4, 4)).sum().backward()
    optimizer.step()
    model.load_state_dict(kept)
    return optimizer


def averages():
    model = Network(by=1.0)
    return model


def timm_train():
    """Saves as timm's train.py does: its arguments are a Namespace."""
    model = Network()
    ema = timm.utils.ModelEmaV3(model)
    ema.module.load_state_dict(averages().state_dict())
    args = argparse.Namespace(
        model="tf_efficientnet_lite0", num_classes=3, in_chans=3, input_size=None, img_size=64, crop_pct=0.9,
        mean=[0.5, 0.4, 0.3], std=[0.2, 0.25, 0.3], interpolation="bicubic", bn_eps=None, class_map="", lr=0.05,
        betas=(0.9, 0.99), model_kwargs={}, experiment="",
    )  # fmt: skip
    for name, model_ema in (("timm", None), ("timm_ema", ema)):
        with tempfile.TemporaryDirectory() as folder:
            saver = timm.utils.CheckpointSaver(
                model, trained(model), args=args, model_ema=model_ema, checkpoint_dir=folder, recovery_dir=folder
            )
            saver.save_checkpoint(3, metric=np.float64(71.5))
            shutil.copy(Path(folder) / "last.pth.tar", OUT / f"{name}.pth.tar")


def torchvision_train():
    """Saves as torchvision's references/classification/train.py does."""
    model = Network()
    optimizer = trained(model)
    ema = torch.optim.swa_utils.AveragedModel(model, use_buffers=True)
    ema.module.load_state_dict(averages().state_dict())
    checkpoint = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10).state_dict(),
        "epoch": 3,
        "args": argparse.Namespace(model="efficientnet_b0", interpolation="bicubic", val_resize_size=256, val_crop_size=224),
        "scaler": torch.amp.GradScaler("cpu").state_dict(),
    }
    torch.save(checkpoint, OUT / "torchvision.pth")
    torch.save(checkpoint | {"model_ema": ema.state_dict()}, OUT / "torchvision_ema.pth")
    torch.save(ema.state_dict(), OUT / "averaged.pth")
    torch.save({"ema": ema.state_dict(), "model": model.state_dict()}, OUT / "ema_key.pth")


class Module(lightning.LightningModule):
    """A backbone and a separate head, as in tutorials."""

    def __init__(self, model_name, num_classes, lr=1e-3):
        super().__init__()
        self.save_hyperparameters()
        self.model = Backbone()
        self.fc = nn.Linear(2, num_classes)
        self.criterion = nn.CrossEntropyLoss(weight=torch.ones(num_classes))
        self.matrix = torchmetrics.ConfusionMatrix("multiclass", num_classes=num_classes)
        self.matrix.persistent(True)

    def training_step(self, batch, _):
        return self.criterion(self.fc(self.model(batch[0])), batch[1])

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)


class Plain(lightning.LightningModule):
    """The network alone."""

    def __init__(self, arch):
        super().__init__()
        self.save_hyperparameters()
        self.net = Network()


def lightning_train():
    with tempfile.TemporaryDirectory() as folder:
        data = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(torch.zeros(2, 3, 4, 4), torch.tensor([0, 1]))
        )
        trainer = lightning.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, default_root_dir=folder, enable_progress_bar=False,
            callbacks=[lightning.pytorch.callbacks.ModelCheckpoint(dirpath=folder)],
        )  # fmt: skip
        module = Module("tf_efficientnetv2_b0", num_classes=5)
        trainer.fit(module, data)
        module.model.load_state_dict(Backbone().state_dict())
        with torch.no_grad():
            module.fc.weight.copy_(torch.arange(10).reshape(5, 2) / 4)
        trainer.save_checkpoint(OUT / "lightning.ckpt")
        plain = Plain("efficientnet_b0")
        trainer.strategy.connect(plain)
        trainer.save_checkpoint(OUT / "lightning_plain.ckpt", weights_only=True)


class Mode(enum.Enum):
    ON = "on"


def own_function(x):
    return x


class Configured(lightning.LightningModule):
    """Hyper-parameters of every kind, as users of Hydra and others have them."""

    def __init__(self, cfg, **more):
        super().__init__()
        self.save_hyperparameters()
        self.net = Network()


def lightning_hyper_parameters():
    cfg = omegaconf.OmegaConf.create(
        {
            "model": {"name": "efficientnet_b0", "num_classes": 3, "pretrained": False, "lr": "${lr}"},
            "lr": 1e-3, "img_size": [64, 64], "class_names": ["cat", "dog", "emu"], "none": None,
            "trainer": {"callbacks": [{"_target_": "Checkpoint", "deep": {"of": {"a": {"list": [1, {"b": 2}]}}}}]},
        }
    )  # fmt: skip
    more = dict(
        model_name="efficientnet_b1", scalar=np.float32(0.5), number=np.int64(3), array=np.ones(2), path=Path("a/b"), mode=Mode.ON,
        function=own_function, partial=functools.partial(torch.optim.AdamW, lr=1e-3), kind=nn.ReLU, dtype=torch.float16,
        device=torch.device("cpu"), generator=np.random.default_rng(0), tensor=torch.ones(2, 2, 3, 3), namespace=argparse.Namespace(a=1),
        module=nn.Conv2d(3, 2, 1),
    )  # fmt: skip
    trainer = lightning.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
    for name, module in (("omegaconf", Configured(cfg)), ("all", Configured({}, **more))):
        trainer.strategy.connect(module)
        trainer.save_checkpoint(OUT / f"lightning_{name}.ckpt", weights_only=True)
    # A DictConfig in place of Lightning's own dict.
    state = {f"net.{n}": v for n, v in Network().state_dict().items()}
    torch.save({"state_dict": state, "hyper_parameters": cfg, "hparams_type": omegaconf.DictConfig}, OUT / "omegaconf.ckpt")


def own_scripts():
    """Keys that tutorials use, and class names beside the weights."""
    state = Network().state_dict()
    others = Network(by=2.0).state_dict()
    torch.save({"epoch": 1, "model_state_dict": state, "optimizer_state_dict": {"state": {0: {"step": torch.tensor(1.0)}}}}, OUT / "tutorial.pth")
    torch.save({"net": state, "acc": 91.5, "epoch": 3}, OUT / "net.pth")
    torch.save({"weights": state, "class_to_idx": {"dog": 1, "cat": 0, "emu": 2}}, OUT / "weights.pth")
    torch.save({"params": others, "params_ema": state}, OUT / "params.pth")
    torch.save({"model": state, "arch": "efficientnet_b1", "classes": ["a", "b", "c"], "config": {"num_classes": 3}}, OUT / "classes.pth")
    torch.save({"state_dict": {f"model.module.{n}": v for n, v in state.items()}, "class_weights": torch.ones(3)}, OUT / "parallel.pth")
    torch.save({f"_orig_mod.{n}": v for n, v in state.items()}, OUT / "compiled.pth")
    parts = {n.replace("conv_stem", "conv_stem._orig_mod"): v for n, v in state.items()}
    torch.save(parts, OUT / "compiled_part.pth")
    backbone = {n: v for n, v in state.items() if not n.startswith("classifier")}
    head = {n.removeprefix("classifier."): v for n, v in state.items() if n.startswith("classifier")}
    torch.save({"backbone": backbone, "head": head, "optimizer": {"state": {0: {"exp_avg": torch.zeros(4)}}}}, OUT / "parts.pth")


def modules():
    """Whole modules in place of their state dicts."""
    torch.save(Network(), OUT / "module.pth")
    torch.save(nn.DataParallel(Network()), OUT / "module_parallel.pth")
    torch.save({"epoch": 2, "model": Network(), "optimizer": None}, OUT / "module_key.pth")
    # The older format contains the classes' sources; the paths of this machine are removed.
    source = torch.serialization.get_source_lines_and_file
    torch.serialization.get_source_lines_and_file = lambda cls: (source(cls)[0][:3], 1, f"{cls.__module__}.py")
    torch.save(Network(), OUT / "module_legacy.pth", _use_new_zipfile_serialization=False)


class Subclass(torch.Tensor):
    """A tensor with its own class."""


def all_kinds():
    """Besides the tensors, what torch.load(weights_only=True) accepts, and what it does not."""
    state = Network().state_dict()
    attributed = nn.Parameter(state["bn1.weight"].clone())
    attributed.note = "an attribute"
    accepted = {
        "counter": collections.Counter("abca"),
        "device": torch.device("cpu"),
        "size": torch.Size([1, 2]),
        "dtypes": [torch.float16, torch.uint4, torch.complex128, torch.float8_e4m3fn],
        "layout": torch.strided,
        "set": {1, 2},
        "complex": 1 + 2j,
        "bytearray": bytearray(b"abc"),
        "bytes": b"abc",
        "long": 1 << 70,
        "float": float("inf"),
        "deque": [None, True, False, -1, 300, 70000, 1 << 40],
        "quantized": torch.quantize_per_tensor(torch.ones(2), 0.5, 0, torch.qint8),
        "sparse": torch.eye(2).to_sparse(),
        "csr": torch.eye(2).to_sparse_csr(),
        "meta": torch.zeros(2, device="meta"),
        "f8": torch.ones(2).to(torch.float8_e4m3fn),
        "u16": torch.ones(2, dtype=torch.uint16),
        "complex64": torch.ones(2, dtype=torch.complex64),
        "expanded": torch.ones(1).expand(4),
    }
    weights = dict(state) | {"bn1.weight": attributed}
    torch.save({"state_dict": weights, **accepted}, OUT / "accepted.pth")
    torch.load(OUT / "accepted.pth", weights_only=True)
    subclass = {name: value.as_subclass(Subclass) for name, value in state.items()}
    foreign = {
        "default": collections.defaultdict(list, a=[1]),
        "deque": collections.deque([1]),
        "frozen": frozenset("ab"),
        "partial": functools.partial(print, 1),
        "scalar": np.float32(0.5),
        "array": np.ones(2),
        "path": Path("a"),
        "namespace": argparse.Namespace(arch="mobilenetv3_small_100"),
        "range": range(3),
        "slice": slice(1, 2),
        "type": dict,
        "error": ValueError("a"),
    }
    for protocol in (2, 3, 4, 5):
        torch.save({"state_dict": subclass, **foreign}, OUT / f"foreign_{protocol}.pth", pickle_protocol=protocol)
    torch.save({n: v.double() if v.is_floating_point() else v for n, v in state.items()}, OUT / "double.pth")
    needed = dict(state) | {"conv_stem.weight": torch.quantize_per_tensor(state["conv_stem.weight"], 0.125, 0, torch.qint8)}
    torch.save(needed, OUT / "quantized.pth")
    torch.save(dict(state) | {"bn1.weight": np.ones(2, "f4")}, OUT / "numpy_weight.pth")


def no_torch():
    """Pickles that torch.save did not write, and archives."""
    arrays = {name: value.numpy() for name, value in Network().state_dict().items()}
    for protocol in (0, 4):
        (OUT / f"arrays_{protocol}.pkl").write_bytes(pickle.dumps(arrays, protocol=protocol))
    np.savez(OUT / "arrays.npz", **arrays)
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / "network.pth"
        torch.save({"a": torch.ones(1)}, inner)
        for name, mode in (("packed.tar", "w"), ("packed.tar.gz", "w:gz")):
            with tarfile.open(OUT / name, mode) as archive:
                archive.add(inner, "network.pth")
    script = torch.jit.script(nn.Sequential(nn.Linear(1, 1)))
    script.save(OUT / "script.pt")
    program = torch.export.export(nn.Linear(1, 1), (torch.ones(1, 1),))
    with tempfile.TemporaryDirectory() as folder:
        torch.export.save(program, Path(folder) / "program.pt2")
        # Its entries, without this machine's source paths.
        with zipfile.ZipFile(Path(folder) / "program.pt2") as whole, zipfile.ZipFile(OUT / "program.pt2", "w") as out:
            for entry in whole.namelist():
                content = b"{}" if entry.endswith(".json") else whole.read(entry)
                out.writestr(zipfile.ZipInfo(entry, (1980, 1, 1, 0, 0, 0)), content)


save_file({n: v.clone() for n, v in Network().state_dict().items()}, OUT / "network.safetensors")
save_file({n: v.clone() for n, v in averages().state_dict().items()}, OUT / "averages.safetensors")
timm_train()
torchvision_train()
lightning_train()
lightning_hyper_parameters()
own_scripts()
modules()
all_kinds()
no_torch()
