"""Record what timm says of tests/data/validate, and what scikit-learn and numpy say of its outputs.

    python record.py

Outputs:
  tests/goldens/validate.json          the figures
  tests/goldens/validate.safetensors   (with the same name) logits and targets that they are of

timm's figures come from what its `validate.py` is made of, in its order: `create_dataset` with a
class map, `create_loader`, `CrossEntropyLoss`, `accuracy`, `AverageMeter`, `RealLabelsImagenet`, and
`output[:, valid_labels]`. The model has the bundled weights.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import log_loss, precision_recall_fscore_support
from timm.data import RealLabelsImagenet, create_dataset, create_loader, resolve_data_config
from timm.data.imagenet_info import ImageNetInfo
from timm.utils import AverageMeter, accuracy

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "tests/data/validate"
WEIGHTS = ROOT / "weights-map/bundled/tf_efficientnet_lite0.in1k.safetensors"
BINS = 15


def network():
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in load_file(WEIGHTS).items()}
    model.load_state_dict(state, strict=True)
    return model.eval()


@torch.inference_mode()
def by_timm(model, root, class_map="", valid_labels=None, real_json=None):
    """The figures of `validate.py`, and all logits and targets."""
    config = resolve_data_config({}, model=model, use_test_size=True)
    dataset = create_dataset(root=str(root), name="", split="validation", class_map=class_map)
    real = real_json and RealLabelsImagenet(dataset.filenames(basename=True), real_json=real_json)
    loader = create_loader(
        dataset, input_size=config["input_size"], batch_size=8, use_prefetcher=False, interpolation=config["interpolation"],
        mean=config["mean"], std=config["std"], num_workers=0, crop_pct=config["crop_pct"], crop_mode=config["crop_mode"],
        device=torch.device("cpu"),
    )
    losses, top1, top5 = AverageMeter(), AverageMeter(), AverageMeter()
    criterion = torch.nn.CrossEntropyLoss()
    logits, targets = [], []
    for images, target in loader:
        output = model(images)
        if valid_labels is not None:
            output = output[:, valid_labels]
        loss = criterion(output, target)
        if real:
            real.add_result(output)
        acc1, acc5 = accuracy(output.detach(), target, topk=(1, 5))
        losses.update(loss.item(), images.shape[0])
        top1.update(acc1.item(), images.shape[0])
        top5.update(acc5.item(), images.shape[0])
        logits.append(output)
        targets.append(target)
    figures = {"top1": top1.avg, "top5": top5.avg, "loss": losses.avg}
    if real:
        figures |= {"top1": real.get_accuracy(k=1), "top5": real.get_accuracy(k=5)}
    return figures, torch.cat(logits), torch.cat(targets)


def softmax(logits):
    z = logits - logits.max(1, keepdims=True)
    e = np.exp(z)
    return e / e.sum(1, keepdims=True)


def ece(p, targets):
    """Guo et al. 2017: bins (0, 1/15], (1/15, 2/15], ..."""
    confidence, right = p.max(1), p.argmax(1) == targets
    total, bins = 0.0, []
    for low, high in zip(np.arange(BINS) / BINS, np.arange(1, BINS + 1) / BINS):
        inside = (confidence > low) & (confidence <= high)
        bins.append(int(inside.sum()))
        if inside.any():
            total += abs(right[inside].mean() - confidence[inside].mean()) * inside.mean()
    return total, bins


def scores(p, targets):
    onehot = np.eye(p.shape[1])[targets]
    return {
        "nll": float(log_loss(targets, p, labels=np.arange(p.shape[1]))),
        "brier": float(((p - onehot) ** 2).sum(1).mean()),
        "ece": float(ece(p, targets)[0]),
    }


def halves(count):
    """Which images a temperature is fitted to: the even of splitmix64's numbers."""
    mask, fit = (1 << 64) - 1, []
    for number in range(count):
        z = ((number + 1) * 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        fit.append((z ^ (z >> 31)) % 2 == 0)
    return np.array(fit)


def best_temperature(logits, targets):
    """By golden section on ln T: slower than effnet's way, and another one."""
    def nll(log_t):
        z = logits / np.exp(log_t)
        z = z - z.max(1, keepdims=True)
        return float((np.log(np.exp(z).sum(1)) - z[np.arange(len(targets)), targets]).mean())
    low, high, ratio = np.log(0.01), np.log(100.0), (5**0.5 - 1) / 2
    while high - low > 1e-10:
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if nll(a) < nll(b):
            high = b
        else:
            low = a
    return float(np.exp((low + high) / 2))


def figures_of(logits, targets):
    logits = logits.astype(np.float64)
    p, answers = softmax(logits), logits.argmax(1)
    averages = {}
    for average in ("macro", "weighted"):
        precision, recall, f1, _ = precision_recall_fscore_support(targets, answers, average=average, zero_division=0)
        averages[average] = {"precision": float(precision), "recall": float(recall), "f1": float(f1)}
    classes = sorted(set(targets.tolist()) | set(answers.tolist()))
    each = precision_recall_fscore_support(targets, answers, labels=classes, zero_division=0)
    fit = halves(len(targets))
    t = best_temperature(logits[fit], targets[fit])
    held_out = logits[~fit], targets[~fit]
    after = softmax(held_out[0] / t)
    return {
        "top1": float((answers == targets).mean()),
        "top5": float((np.argsort(-logits, 1, kind="stable")[:, :5] == targets[:, None]).any(1).mean()),
        **scores(p, targets),
        "bins": ece(p, targets)[1],
        "averages": averages,
        "classes": [[c, *map(float, row[:3]), int(row[3])] for c, *row in zip(classes, *each)],
        "temperature": t,
        "fit_images": int(fit.sum()),
        "before": scores(softmax(held_out[0]), held_out[1]),
        "after": scores(after, held_out[1]),
        "right": sorted(after[np.arange(len(held_out[1])), held_out[1]].tolist()),
    }


def synthetic(images=600, classes=12, seed=1):
    """Logits that are twice as large as they should be."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(images, classes)) * 1.6
    p = softmax(logits)
    targets = np.array([rng.choice(classes, p=row) for row in p])
    return (2.0 * logits).astype(np.float32), targets


def main():
    model, golden = network(), {}
    synsets = ImageNetInfo("imagenet-1k").label_names()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        class_map = folder / "synsets.txt"
        class_map.write_text("\n".join(synsets) + "\n")
        figures, logits, targets = by_timm(model, DATA, class_map=str(class_map))
        golden["timm"] = figures

        # The folders alone are the valid classes.
        names = sorted(path.name for path in DATA.iterdir() if path.is_dir())
        valid = [synsets.index(name) for name in names]
        golden["valid_labels"] = valid
        golden["timm_valid"], _, _ = by_timm(model, DATA, valid_labels=valid)

        # ReaL labels are of files with numbers.
        real = folder / "real"
        lists = []
        images = sorted(DATA.glob("*/*.jpg"))
        for number, image in enumerate(images):
            target = real / image.parent.name
            target.mkdir(parents=True, exist_ok=True)
            (target / f"ILSVRC2012_val_{number + 1:08d}.JPEG").write_bytes(image.read_bytes())
            lists.append(real_list(image, synsets))
        real_json = folder / "real.json"
        real_json.write_text(json.dumps(lists))
        golden["real"] = lists
        golden["timm_real"], _, _ = by_timm(model, real, class_map=str(class_map), real_json=str(real_json))
    golden["of_timm"] = figures_of(logits.numpy(), targets.numpy())

    made, labels = synthetic()
    golden["synthetic"] = figures_of(made, labels)
    out = ROOT / "tests/goldens"
    save_file(
        {
            "timm.logits": logits, "timm.targets": targets.to(torch.int64),
            "synthetic.logits": torch.from_numpy(made), "synthetic.targets": torch.from_numpy(labels),
        },
        out / "validate.safetensors",
    )
    (out / "validate.json").write_text(json.dumps(golden, indent=1) + "\n")
    print(json.dumps({k: v for k, v in golden.items() if k.startswith("timm")}), golden["synthetic"]["temperature"], file=sys.stderr)


def real_list(image, synsets):
    """Any of three cats for a cat, nothing for grass, and else the folder's class."""
    if image.name.startswith("grass"):
        return []
    if image.name.startswith("chelsea"):
        return [281, 282, 285]
    return [synsets.index(image.parent.name)]


if __name__ == "__main__":
    main()
