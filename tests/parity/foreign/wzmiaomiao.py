"""The EfficientNets of WZMIAOMIAO's tutorials (Test9, Test11) with their module names, written for
this test from the published files' names and arithmetic: symmetric padding, batch norm's epsilon
1e-3, squeeze-and-excitation with a quarter of the block's input channels."""

import math
from collections import OrderedDict

from torch import nn

EPS = 1e-3


def width(channels, factor):
    """Channels times a factor, rounded to a multiple of 8, but at most a tenth less."""
    rounded = max(8, int(channels * factor + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels * factor else rounded


class Excite(nn.Module):
    def __init__(self, inputs, channels, names):
        super().__init__()
        self.names = names
        self.add_module(names[0], nn.Conv2d(channels, inputs // 4, 1))
        self.add_module(names[1], nn.Conv2d(inputs // 4, channels, 1))

    def forward(self, x):
        reduce, expand = (getattr(self, name) for name in self.names)
        scale = expand(nn.functional.silu(reduce(x.mean((2, 3), keepdim=True))))
        return x * scale.sigmoid()


def unit(names, inputs, outputs, kernel=1, stride=1, groups=1, active=True):
    """Convolution, norm and activation; `names` are the tutorial's names for the first two."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    layers = [(names[0], conv), (names[1], nn.BatchNorm2d(outputs, eps=EPS))]
    return nn.Sequential(OrderedDict(layers + ([("act", nn.SiLU())] if active else [])))


class Block(nn.Module):
    """`inside`: the name of the module that holds the layers; Test11 has none."""

    def __init__(self, layers, residual, inside=None):
        super().__init__()
        self.order, self.residual, self.inside = list(layers), residual, inside
        if inside:
            self.add_module(inside, nn.Sequential(layers))
        else:
            for name, layer in layers.items():
                self.add_module(name, layer)

    def forward(self, x):
        y = x
        for name in self.order:
            y = (getattr(self, self.inside) if self.inside else self).get_submodule(name)(y)
        return x + y if self.residual else y


def mb_conv(names, se_names, kernel, inputs, outputs, expansion, stride, inside=None):
    wide, layers = inputs * expansion, OrderedDict()
    if expansion != 1:
        layers["expand_conv"] = unit(names, inputs, wide)
    layers["dwconv"] = unit(names, wide, wide, kernel, stride, wide)
    layers["se"] = Excite(inputs, wide, se_names)
    layers["project_conv"] = unit(names, wide, outputs, active=False)
    return Block(layers, stride == 1 and inputs == outputs, inside)


def fused_mb_conv(names, kernel, inputs, outputs, expansion, stride):
    wide, layers = inputs * expansion, OrderedDict()
    if expansion == 1:
        layers["project_conv"] = unit(names, inputs, outputs, kernel, stride)
    else:
        layers["expand_conv"] = unit(names, inputs, wide, kernel, stride)
        layers["project_conv"] = unit(names, wide, outputs, active=False)
    return Block(layers, stride == 1 and inputs == outputs)


class EfficientNet(nn.Module):
    """Test9."""

    # Kernel, outputs, expansion, stride, repeats.
    STAGES = [
        (3, 16, 1, 1, 1), (3, 24, 6, 2, 2), (5, 40, 6, 2, 2), (3, 80, 6, 2, 3),
        (5, 112, 6, 1, 3), (5, 192, 6, 2, 4), (3, 320, 6, 1, 1),
    ]
    MODELS = [(1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8), (1.6, 2.2), (1.8, 2.6), (2.0, 3.1)]

    def __init__(self, model, num_classes=1000):
        super().__init__()
        wide, deep = self.MODELS[model]
        names, channels = ("0", "1"), width(32, wide)
        layers = OrderedDict(stem_conv=unit(names, 3, channels, 3, 2))
        for stage, (kernel, outputs, expansion, stride, repeats) in enumerate(self.STAGES):
            outputs = width(outputs, wide)
            for i in range(math.ceil(repeats * deep)):
                layers[f"{stage + 1}{chr(ord('a') + i)}"] = mb_conv(
                    names, ("fc1", "fc2"), kernel, channels, outputs, expansion, 1 if i else stride, "block"
                )
                channels = outputs
        layers["top"] = unit(names, channels, width(1280, wide))
        self.features = nn.Sequential(layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(width(1280, wide), num_classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class EfficientNetV2(nn.Module):
    """Test11."""

    # The stem's channels; then repeats, stride, expansion, outputs, and whether the block is depthwise.
    MODELS = {
        "s": (24, [(2, 1, 1, 24, 0), (4, 2, 4, 48, 0), (4, 2, 4, 64, 0), (6, 2, 4, 128, 1), (9, 1, 6, 160, 1),
                   (15, 2, 6, 256, 1)]),
        "m": (24, [(3, 1, 1, 24, 0), (5, 2, 4, 48, 0), (5, 2, 4, 80, 0), (7, 2, 4, 160, 1), (14, 1, 6, 176, 1),
                   (18, 2, 6, 304, 1), (5, 1, 6, 512, 1)]),
        "l": (32, [(4, 1, 1, 32, 0), (7, 2, 4, 64, 0), (7, 2, 4, 96, 0), (10, 2, 4, 192, 1), (19, 1, 6, 224, 1),
                   (25, 2, 6, 384, 1), (7, 1, 6, 640, 1)]),
    }

    def __init__(self, model, num_classes=1000):
        super().__init__()
        names, (channels, stages) = ("conv", "bn"), self.MODELS[model]
        self.stem = unit(names, 3, channels, 3, 2)
        blocks = []
        for repeats, stride, expansion, outputs, depthwise in stages:
            for i in range(repeats):
                args = 3, channels, outputs, expansion, 1 if i else stride
                se = ("conv_reduce", "conv_expand")
                blocks.append(mb_conv(names, se, *args) if depthwise else fused_mb_conv(names, *args))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(OrderedDict(
            project_conv=unit(names, channels, 1280), avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(),
            dropout=nn.Dropout(0.2), classifier=nn.Linear(1280, num_classes),
        ))

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


def models():
    """The models with the tutorials' names, as functions of the number of classes."""
    for i in range(8):
        yield f"efficientnet_b{i}", lambda num_classes=1000, i=i: EfficientNet(i, num_classes)
    for size in "sml":
        yield f"efficientnetv2_{size}", lambda num_classes=1000, size=size: EfficientNetV2(size, num_classes)
