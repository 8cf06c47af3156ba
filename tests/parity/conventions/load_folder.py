"""Load a folder made by `effnet convert --to timm --folder` into timm, and compare its logits.

    effnet convert weights.pth folder --to timm --folder
    python load_folder.py input folder input.safetensors
    effnet forward -m folder -i input.safetensors -o logits.safetensors
    python load_folder.py compare folder input.safetensors logits.safetensors [TORCHVISION_MODEL weights.pth]
"""

import sys

import timm
import torch
from safetensors.torch import load_file, save_file


def main():
    what, folder, images = sys.argv[1:4]
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    config = timm.data.resolve_model_data_config(model)
    if what == "input":
        torch.manual_seed(0)
        save_file({"input": torch.randn(2, *config["input_size"])}, images)
        return
    print(type(model).__name__, model.pretrained_cfg["architecture"], config)
    images = load_file(images)["input"]
    with torch.inference_mode():
        expected = model(images)
    found = load_file(sys.argv[4])["logits"]
    print("effnet's largest difference:", ((found - expected).abs().max() / expected.abs().max()).item())
    if len(sys.argv) > 5:
        from torchvision import models

        library = models.get_model(sys.argv[5]).eval()
        library.load_state_dict(torch.load(sys.argv[6]))
        with torch.inference_mode():
            logits = library(images)
        print("torchvision's:", ((logits - expected).abs().max() / expected.abs().max()).item())


main()
