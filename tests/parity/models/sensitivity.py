"""How far the logits move when each tensor is scaled by 1%, one at a time.

    python tests/parity/models/sensitivity.py > tests/goldens/margins.tsv   # all architectures
    python tests/parity/models/sensitivity.py NAME...

A line has an architecture, the number of its tensors, the smallest margin and its tensor; a margin
is the largest change of a logit divided by the tolerance of the comparison. README.md beside this
script says what this shows.
"""

import sys

import torch

import generate

TOLERANCE = 1e-4
FACTOR = 1.01
# How many logits are differentiated.
LOGITS = 8
# They add the same to the logits of a softmax at every position.
UNOBSERVABLE = ("se.conv_attn.bias", "attn.key.norm.bias", "attn.key.norm.running_mean")


def moved(model, name, tensor):
    """The elements of the flattened tensor that are scaled; None if no output depends on them.

    These are all elements, or every other one if a norm undoes the scaling of the whole tensor.
    """
    if name.endswith(UNOBSERVABLE):
        return None
    normalized = isinstance(model.bn1, (torch.nn.GroupNorm, torch.nn.LayerNorm))
    undone = normalized and tensor.ndim == 4 and ".se." not in name
    return slice(None, None, 2 if undone else 1)


def tensors(model):
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            elements = moved(model, name, tensor)
            if elements is not None:
                yield name, tensor, elements


def bounds(model, x):
    """The logits, and for each tensor a lower bound of its margin, to first order, from some of the
    logits.

    A batch norm is `(x - mean) * scale + bias` where `scale = weight / sqrt(var + eps)`, so the
    gradients of its statistics follow from those of its weight and bias.
    """
    logits = model(x)[0]
    unit = (FACTOR - 1) / (TOLERANCE * logits.detach().abs().max())
    parameters = dict(model.named_parameters())
    margins = {name: 0.0 for name, _, _ in tensors(model)}
    for i in torch.linspace(0, len(logits) - 1, LOGITS).long():
        grads = torch.autograd.grad(logits[i], list(parameters.values()), retain_graph=True)
        products = {n: g * p.detach() for g, (n, p) in zip(grads, parameters.items(), strict=True)}
        grads = dict(zip(parameters, grads, strict=True))
        for name, bn in model.named_modules():
            if getattr(bn, "running_var", None) is not None:
                deviation = (bn.running_var + bn.eps).sqrt()
                means = grads[f"{name}.bias"] * bn.weight / deviation * bn.running_mean
                products[f"{name}.running_mean"] = means
                ratio = bn.running_var / (bn.running_var + bn.eps)
                products[f"{name}.running_var"] = products[f"{name}.weight"] * ratio / 2
        for name, _, elements in tensors(model):
            change = products[name].flatten()[elements].sum().abs() * unit
            margins[name] = max(margins[name], change.item())
    return logits.detach(), margins


@torch.no_grad()
def margin(model, x, logits, tensor, elements):
    """The largest change of a logit when the tensor is moved, divided by the tolerance."""
    before = tensor.clone()
    tensor.view(-1)[elements] *= FACTOR
    change = (model(x)[0] - logits).abs().max() / logits.abs().max()
    tensor.copy_(before)
    return change.item() / TOLERANCE


def quietest(name):
    """The smallest margin and its tensor, and how many tensors there are.

    All tensors whose lower bound is not above the smallest margin are moved.
    """
    model, x = generate.create(name), generate.images(name, (1, 3, *generate.ODD))
    logits, margins = bounds(model, x)
    found = dict((n, (t, e)) for n, t, e in tensors(model))
    worst = (float("inf"), "")
    for bound, tensor in sorted((bound, tensor) for tensor, bound in margins.items()):
        if bound > worst[0]:
            break
        worst = min(worst, (margin(model, x, logits, *found[tensor]), tensor))
    return worst, len(margins)


def main(names):
    for name in names or (generate.HERE / "architectures.txt").read_text().split():
        (worst, tensor), count = quietest(name)
        print(f"{name}\t{count}\t{worst:.2f}\t{tensor}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
