"""Makes the files in tests/data/pth/libraries as training libraries save networks.

    python libraries.py

Names and shapes are the libraries' own. All tensors of a file are views of one number, to keep it
small.
"""

import shutil
import warnings
from pathlib import Path

import segmentation_models_pytorch as smp
import timm
import torch
import torch.distributed.checkpoint as dcp
import torchvision
from accelerate import Accelerator
from fastai.vision.learner import create_timm_model, create_vision_model
from mmpretrain import get_model
from peft import LoraConfig, get_peft_model
from torch import nn

warnings.filterwarnings("ignore")
OUT = Path(__file__).resolve().parents[2] / "data" / "pth" / "libraries"
ONE = torch.tensor(1.0)


def small(state):
    return {name: ONE.expand(value.shape) if torch.is_tensor(value) and not value.is_quantized else value for name, value in state.items()}


def save(state, name):
    torch.save(state, OUT / name)


def fastai():
    """`learn.save(...)` of `vision_learner`, and of a Learner around timm's own network."""
    model = create_vision_model(torchvision.models.mobilenet_v3_small, 2, pretrained=False)
    save({"model": small(model.state_dict()), "opt": {"state": [], "hypers": [{"lr": 1e-3}]}}, "fastai.pth")
    model, _ = create_timm_model("lcnet_035", 2, pretrained=False)
    save({"model": small(model.state_dict()), "opt": {}}, "fastai_timm.pth")
    state = timm.create_model("lcnet_035", num_classes=2).state_dict()
    save({"model": small(state), "opt": {"state": [{"mom": torch.zeros(3)}], "hypers": []}}, "fastai_plain.pth")


def segmentation():
    unet = smp.Unet("efficientnet-b0", encoder_weights=None)
    save(small(unet.state_dict()), "segmentation.pth")
    save(small(unet.encoder.state_dict()), "encoder.pth")
    save(small(smp.Unet("tu-lcnet_050", encoder_weights=None).state_dict()), "segmentation_timm.pth")


def adapters():
    model = timm.create_model("lcnet_035", num_classes=5)
    model = get_peft_model(model, LoraConfig(target_modules=r".*conv_pw$", modules_to_save=["classifier"]))
    model.save_pretrained(OUT / "peft")
    for rest in (OUT / "peft").glob("README*"):
        rest.unlink()
    save(small(model.state_dict()), "peft.pth")
    for parameter in model.parameters():
        parameter.data = parameter.data.fill_(1.0)
    save(small(model.merge_and_unload().state_dict()), "peft_merged.pth")


def quantized():
    model = torchvision.models.quantization.mobilenet_v2(weights=None, quantize=True)
    state = {n: v for n, v in model.state_dict().items() if n.startswith(("quant", "features.0", "classifier"))}
    kernel = torch.quantize_per_channel(torch.zeros(32, 3, 3, 3), torch.ones(32), torch.zeros(32), 0, torch.qint8)
    state["features.0.0.weight"] = kernel
    state["classifier.1._packed_params._packed_params"] = (torch.quantize_per_tensor(torch.zeros(2, 3), 1.0, 0, torch.qint8), None)
    save(state, "quantized.pth")
    model = torchvision.models.mobilenet_v2(num_classes=2).eval()
    state = small(model.state_dict())
    head = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 2)), {nn.Linear}).state_dict()
    state = {n: v for n, v in state.items() if not n.startswith("classifier")}
    save(state | {f"classifier.1.{n.removeprefix('0.')}": v for n, v in head.items()}, "quantized_classifier.pth")


def distributed():
    state = {"conv_stem.weight": torch.ones(8, 3, 3, 3), "bn1.weight": torch.ones(8)}
    dcp.save({"model": state}, checkpoint_id=OUT / "fsdp", no_dist=True)
    model = timm.create_model("lcnet_035", num_classes=5)
    # What DeepSpeed's engine adds around a model's state (`deepspeed/runtime/engine.py`, `_save_checkpoint`).
    engine = {
        "module": small(model.state_dict()), "buffer_names": ["bn1.running_mean"], "optimizer": None, "param_shapes": None,
        "frozen_param_shapes": None, "shared_params": {}, "frozen_param_fragments": None, "lr_scheduler": None,
        "data_sampler": None, "sparse_tensor_module_names": set(), "skipped_steps": 0, "global_steps": 3,
        "global_samples": 6, "dp_world_size": 1, "mp_world_size": 1, "ds_config": {"train_batch_size": 2}, "ds_version": "0.18.2",
    }  # fmt: skip
    save(engine, "mp_rank_00_model_states.pt")


def accelerate():
    """The folder that `save_model` leaves: no config.json."""
    Accelerator(cpu=True).save_model(nn.Linear(2, 3), OUT / "accelerate")


def mmpretrain():
    for name, model in (("mmpretrain", "efficientnet-b0_3rdparty_8xb32_in1k"), ("mmpretrain_mobilenet", "mobilenet-v2_8xb32_in1k")):
        state = get_model(model, pretrained=False, head=dict(num_classes=5)).state_dict()
        save({"meta": {"epoch": 1}, "state_dict": small(state)}, f"{name}.pth")


shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)
for make in (fastai, segmentation, adapters, quantized, distributed, accelerate, mmpretrain):
    make()
for path in sorted(OUT.rglob("*")):
    if path.is_file():
        path.chmod(0o644)
        print(path.relative_to(OUT), path.stat().st_size)
