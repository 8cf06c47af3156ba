"""Records what other libraries compute with generated weights, in tests/goldens/foreign.

    KERAS_BACKEND=torch python generate.py            # all, some minutes
    KERAS_BACKEND=torch python generate.py keras.     # those whose names start so
"""

import json
import math
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seeded import images, uniform  # noqa: E402

OUT = Path(__file__).resolve().parents[2] / "goldens" / "foreign"
# Models as users change them: cut, or with their own heads.
CHANGED = OUT.parent / "changed"
SEED = 0
CLASSES = 10
# Odd sizes, where TensorFlow's padding is asymmetric, and even sizes for libraries that pad for those.
ODD = (2, 3, 97, 129)
EVEN = (2, 3, 96, 128)
# Center and spread of a norm's parameters, by the last word of their name in any library.
NORM = {
    "weight": (1.0, 0.5),
    "gamma": (1.0, 0.5),
    "bias": (0.0, 1.0),
    "beta": (0.0, 1.0),
    "running_mean": (0.0, 1.0),
    "moving_mean": (0.0, 1.0),
    "running_var": (1.0, 0.5),
    "moving_variance": (1.0, 0.5),
}


def values(name, shape, center, spread):
    """The float32 values of a tensor, from its name in the library."""
    u = uniform(SEED, name, math.prod(shape))
    return (center + spread * u).astype(np.float32).reshape(shape)


def kernel_rule(scale):
    """Center and spread for a kernel whose outputs would be `scale` wide with a spread of one."""
    return 0.0, float(f"{1.0 / scale:.4g}")


def write(name, shape, tensors, logits, out, **more):
    out.mkdir(parents=True, exist_ok=True)
    assert np.isfinite(logits).all()
    print(f"{name}: {len(tensors)} tensors, logits std {logits.std():.3f}", flush=True)
    head = {"seed": SEED, "input": shape, "classes": logits.shape[1], **more}
    lines = ",\n".join(json.dumps(tensor) for tensor in tensors)
    logits = json.dumps([float(f"{v:.9g}") for v in logits.ravel().tolist()])
    text = f'{json.dumps(head)[:-1]},\n"logits": {logits},\n"tensors": [\n{lines}\n]}}\n'
    (out / f"{name}.json").write_text(text)


def record_torch(name, build, out):
    """Fills a PyTorch model, layer by layer as the input reaches each: every layer's outputs get a
    spread of one, so that every tensor affects the logits."""
    shape = more_even.get(name, ODD)
    model = build().eval()
    x = torch.from_numpy(images(SEED, shape))
    rules = {}
    norms = (torch.nn.BatchNorm2d,)
    kernels = (torch.nn.Conv2d, torch.nn.Linear)
    modules = {module: path for path, module in model.named_modules()}

    def fill(module, key, rule):
        tensor = getattr(module, key)
        path = f"{modules[module]}.{key}"
        rules[path] = rule
        tensor.data.copy_(torch.from_numpy(values(path, tuple(tensor.shape), *rule)))

    def calibrate(module, inputs):
        fill(module, "weight", (0.0, 1.0))
        if module.bias is not None:
            module.bias.data.zero_()
        with torch.no_grad():
            scale = float(module.forward(*inputs).std())
        fill(module, "weight", kernel_rule(scale))
        if module.bias is not None:
            fill(module, "bias", (0.0, 1.0))

    hooks = []
    for module in modules:
        if isinstance(module, norms):
            for key in ("weight", "bias", "running_mean", "running_var"):
                fill(module, key, NORM[key])
        elif isinstance(module, kernels):
            hooks.append(module.register_forward_pre_hook(calibrate))
    with torch.no_grad():
        model(x)
        for hook in hooks:
            hook.remove()
        logits = model(x)
    for kind in ("logits", "pooler_output"):
        logits = getattr(logits, kind, logits)
    logits = logits.numpy()
    state = model.state_dict()
    counters = [key for key in state if key.endswith("num_batches_tracked")]
    assert sorted(rules) == sorted(set(state) - set(counters)), sorted(set(rules) ^ set(state))[:9]
    tensors = [[key, list(state[key].shape), *rules[key]] for key in state if key not in counters]
    write(name, shape, tensors, logits, out)


def fill_keras(model, x):
    """The same for a Keras model, by walking its graph: fills it and returns names, shapes and rules."""
    import keras

    tensors = []

    def fill(layer, variable, rule):
        shape = tuple(variable.shape)
        variable.assign(values(f"{layer.name}/{variable.name}", shape, *rule))

    def operation(layer):
        kind = type(layer).__name__

        def call(*args, **kwargs):
            if kind in ("Conv2D", "DepthwiseConv2D", "Dense"):
                fill(layer, layer.kernel, (0.0, 1.0))
                if layer.use_bias:
                    layer.bias.assign(np.zeros(layer.bias.shape))
                rule = kernel_rule(float(np.std(keras.ops.convert_to_numpy(layer(*args, **kwargs)))))
                fill(layer, layer.kernel, rule)
                tensors.append([f"{layer.name}/kernel", list(layer.kernel.shape), *rule])
                if layer.use_bias:
                    fill(layer, layer.bias, (0.0, 1.0))
                    tensors.append([f"{layer.name}/bias", list(layer.bias.shape), 0.0, 1.0])
            elif kind == "BatchNormalization":
                for variable in layer.weights:
                    fill(layer, variable, NORM[variable.name])
                    tensors.append([f"{layer.name}/{variable.name}", list(variable.shape), *NORM[variable.name]])
            elif kind == "Normalization" and layer.weights:
                # As in the published files: the deviation, because a second division follows this layer.
                layer.weights[0].assign([0.485, 0.456, 0.406])
                layer.weights[1].assign([0.229, 0.224, 0.225])
                layer.finalize_state()
            return layer(*args, **kwargs)

        return call

    with torch.no_grad():
        model._run_through_graph(x, operation)
    names = {tensor[0] for tensor in tensors}
    rest = [w.path for w in model.weights if w.path not in names]
    assert all("normalization" in path for path in rest), rest
    return tensors


def keras_logits(model, pixels):
    """The logits for pixels from 0 to 255, (N, H, W, 3), and what reaches the model."""
    import keras

    x = pixels.astype(np.float32)
    if not any(type(layer).__name__ == "Rescaling" for layer in model.layers):
        # The first two MobileNets leave normalization to the caller, with this function.
        x = keras.applications.mobilenet_v2.preprocess_input(x.copy())
    with torch.no_grad():
        return keras.ops.convert_to_numpy(model(x, training=False)).reshape(len(x), -1), x


def record_keras(name, build, out):
    """Keras's models take pixels from 0 to 255 in place of normalized images."""
    import keras

    keras.backend.clear_session()
    shape = more_even.get(name, ODD)
    n, c, h, w = shape
    pixels = (uniform(SEED, "input", n * c * h * w) + 1.0).astype(np.float32).reshape(shape) * np.float32(127.5)
    pixels = pixels.transpose(0, 2, 3, 1)
    model = build(input_shape=(h, w, c), classes=CLASSES, classifier_activation=None)
    tensors = fill_keras(model, keras_logits(model, pixels)[1])
    write(name, shape, tensors, keras_logits(model, pixels)[0], out, pixels=True, groups=groups(model))


def groups(model):
    """The groups of the layers in a file of weights, as keras/src/saving/saving_lib.py counts them."""
    from keras.src.utils.naming import to_snake_case

    counts, named = {}, {}
    for layer in model.layers:
        group = to_snake_case(type(layer).__name__)
        number = counts.setdefault(group, 0)
        counts[group] += 1
        if layer.weights:
            named[layer.name] = f"{group}_{number}" if number else group
    return named


def torchvision():
    from torchvision import models

    for name in (
        "efficientnet_b0",
        "efficientnet_b5",
        "efficientnet_v2_s",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "mobilenet_v3_large",
        "mnasnet1_0",
    ):
        yield f"torchvision.{name}", lambda name=name: models.get_model(name, weights=None, num_classes=CLASSES)


def efficientnet_pytorch():
    from efficientnet_lite_pytorch import EfficientNet as Lite
    from efficientnet_pytorch import EfficientNet

    for name in ("efficientnet-b0", "efficientnet-b1", "efficientnet-b4"):
        # Without an image size it pads like TensorFlow at any size.
        build = lambda name=name: EfficientNet.from_name(name, image_size=None, num_classes=CLASSES)  # noqa: E731
        yield f"efficientnet-pytorch.{name}", build
    yield "efficientnet-pytorch.efficientnet-lite0", lambda: Lite.from_name(
        "efficientnet-lite0", image_size=None, num_classes=CLASSES
    )


def transformers():
    from transformers import (
        EfficientNetConfig,
        EfficientNetForImageClassification,
        MobileNetV1Config,
        MobileNetV1ForImageClassification,
        MobileNetV2Config,
        MobileNetV2ForImageClassification,
    )

    # As in the configurations of google/efficientnet-b*, except the list of odd maps.
    for name, width, depth, hidden in (("b0", 1.0, 1.0, 1280), ("b1", 1.0, 1.1, 1280), ("b3", 1.2, 1.4, 1536)):
        config = EfficientNetConfig(
            width_coefficient=width, depth_coefficient=depth, hidden_dim=hidden, depthwise_padding=[], num_labels=CLASSES
        )
        yield f"transformers.efficientnet-{name}", lambda config=config: EfficientNetForImageClassification(config)
    yield "transformers.mobilenet_v1_1.0_224", lambda: MobileNetV1ForImageClassification(MobileNetV1Config(num_labels=CLASSES))
    yield "transformers.mobilenet_v2_1.0_224", lambda: MobileNetV2ForImageClassification(MobileNetV2Config(num_labels=CLASSES))


def wzmiaomiao():
    import wzmiaomiao

    build = dict(wzmiaomiao.models())
    for name in ("efficientnet_b0", "efficientnet_b1", "efficientnetv2_s"):
        yield f"wzmiaomiao.{name}", lambda name=name: build[name](CLASSES)


def keras_models():
    import keras

    apps = keras.applications

    def published(**options):
        # The published arithmetic has one more layer than the bare network; its weights are not downloaded.
        with (
            mock.patch("keras.src.applications.efficientnet.file_utils.get_file", return_value="none"),
            mock.patch("keras.src.models.functional.Functional.load_weights"),
            mock.patch("keras.src.applications.efficientnet.imagenet_utils.obtain_input_shape", return_value=options["input_shape"]),
            mock.patch("keras.src.applications.efficientnet.imagenet_utils.validate_activation"),
        ):
            classes = options.pop("classes")
            body = apps.EfficientNetB0(weights="imagenet", include_top=False, **options)
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(body.output)
        return keras.Model(body.input, keras.layers.Dense(classes, name="predictions")(x))

    bare = lambda build, **more: lambda **options: build(weights=None, **more, **options)  # noqa: E731
    yield "keras.EfficientNetB0", published
    yield "keras.EfficientNetV2B0", bare(apps.EfficientNetV2B0)
    yield "keras.EfficientNetV2S", bare(apps.EfficientNetV2S)
    yield "keras.MobileNet", bare(apps.MobileNet)
    yield "keras.MobileNetV2", bare(apps.MobileNetV2)
    yield "keras.MobileNetV3Small", bare(apps.MobileNetV3Small)
    yield "keras.MobileNetV3Large", bare(apps.MobileNetV3Large)
    yield "keras.MobileNetV3Large-minimalistic", bare(apps.MobileNetV3Large, minimalistic=True)


def changed_torch():
    """One linear layer in place of everything after the features; transformers models saved without heads."""
    from torch import nn
    from torchvision import models
    from transformers import (
        EfficientNetConfig,
        EfficientNetModel,
        MobileNetV1Config,
        MobileNetV1Model,
        MobileNetV2Config,
        MobileNetV2Model,
    )

    def with_classifier(name, classifier):
        model = models.get_model(name, weights=None)
        model.classifier = classifier
        return model

    linear, sequential = nn.Linear, nn.Sequential
    yield "torchvision.mobilenet_v3_small", lambda: with_classifier("mobilenet_v3_small", linear(576, CLASSES))
    yield "torchvision.mobilenet_v3_large", lambda: with_classifier("mobilenet_v3_large", linear(960, CLASSES))
    # The name of the removed layer.
    yield "torchvision.mobilenet_v3_small-0", lambda: with_classifier(
        "mobilenet_v3_small", sequential(linear(576, CLASSES))
    )
    yield "torchvision.mobilenet_v3_small-none", lambda: with_classifier("mobilenet_v3_small", nn.Identity())
    yield "torchvision.mobilenet_v2", lambda: with_classifier("mobilenet_v2", linear(1280, CLASSES))
    yield "torchvision.mnasnet0_5", lambda: with_classifier("mnasnet0_5", linear(1280, CLASSES))
    yield "torchvision.efficientnet_b0", lambda: with_classifier("efficientnet_b0", linear(1280, CLASSES))
    config = EfficientNetConfig(width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=1280, depthwise_padding=[])
    yield "transformers.efficientnet-b0", lambda: EfficientNetModel(config)
    yield "transformers.mobilenet_v1_1.0_224", lambda: MobileNetV1Model(MobileNetV1Config())
    yield "transformers.mobilenet_v2_1.0_224", lambda: MobileNetV2Model(MobileNetV2Config())


def changed_keras():
    """Keras's networks without their tops, and with one Dense layer of the user's."""
    import keras

    apps = keras.applications

    def cut(application, **more):
        def build(input_shape, classes, classifier_activation):
            body = application(include_top=False, weights=None, input_shape=input_shape, pooling="avg", **more)
            return keras.Model(body.input, keras.layers.Dense(classes, activation=classifier_activation)(body.output))

        return build

    for size, application in (("Small", apps.MobileNetV3Small), ("Large", apps.MobileNetV3Large)):
        yield f"keras.MobileNetV3{size}", cut(application)
        yield f"keras.MobileNetV3{size}-0.75", cut(application, alpha=0.75)
        yield f"keras.MobileNetV3{size}-minimalistic", cut(application, minimalistic=True)
    yield "keras.MobileNet-0.25", cut(apps.MobileNet, alpha=0.25)
    yield "keras.MobileNetV2-0.35", cut(apps.MobileNetV2, alpha=0.35)
    yield "keras.EfficientNetV2B0", cut(apps.EfficientNetV2B0)


# transformers' EfficientNet pads for even maps, or for odd maps where its configuration lists them;
# Keras's first MobileNet pads for even maps.
more_even = {"transformers.efficientnet-b0": EVEN, "transformers.efficientnet-b1": EVEN, "transformers.efficientnet-b3": EVEN, "keras.MobileNet": EVEN, "keras.MobileNet-0.25": EVEN}


def main(starts):
    torch.manual_seed(0)
    for start, models, record, out in (
        ("torchvision.", torchvision, record_torch, OUT),
        ("efficientnet-pytorch.", efficientnet_pytorch, record_torch, OUT),
        ("transformers.", transformers, record_torch, OUT),
        ("wzmiaomiao.", wzmiaomiao, record_torch, OUT),
        ("keras.", keras_models, record_keras, OUT),
        ("changed/", changed_torch, record_torch, CHANGED),
        ("changed/", changed_keras, record_keras, CHANGED),
    ):
        is_alike = [one for one in starts if one.startswith(start) or start.startswith(one)]
        for name, build in models() if is_alike or not starts else ():
            full = f"changed/{name}" if out == CHANGED else name
            if not starts or full.startswith(tuple(starts)):
                record(name, build, out)


if __name__ == "__main__":
    main(sys.argv[1:])
