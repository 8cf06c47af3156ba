"""Write the table of pretrained models, and the golden that checks how it is read, from timm's registry.

    python generate.py [REPOSITORY_ROOT]

Outputs, the same bytes on every run:
  weights-map/pretrained.toml               only what differs from the defaults at its top
  tests/parity/pretrained/pretrained.json   every field of every entry, spelled out, and what timm's
                                            resolve_data_config makes of it
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import timm
import timm.models
from timm.data.config import resolve_data_config
from timm.models import _registry as registry

MODULES = ["efficientnet", "mobilenetv3", "hardcorenas"]

# The defaults of timm's PretrainedCfg, and what the `_cfg` helpers of the three files add to every entry.
DEFAULTS = {
    "input_size": [3, 224, 224],
    "fixed_input_size": False,
    "interpolation": "bicubic",
    "crop_pct": 0.875,
    "crop_mode": "center",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "num_classes": 1000,
    "pool_size": [7, 7],
    "first_conv": "conv_stem",
    "classifier": "classifier",
    "license": "apache-2.0",
    "custom_load": False,
}

# timm fills these in when it builds a model, or they are not part of a published entry.
DERIVED = {"architecture", "tag", "source", "state_dict", "hf_hub_id"}

HEADER = """\
# Every pretrained tag of timm {version}'s efficientnet.py, mobilenetv3.py and hardcorenas.py.
# Written by tests/parity/pretrained/generate.py: change that, not this. Facts from timm (Apache-2.0).
#
# [[architectures]]: timm's name and file; its tags follow, the default one first.
# [[architectures.tags]]: what differs from [defaults]. The tag `untrained` says that timm has no weights for
# the architecture; every other tag's weights are in the hub repository timm/ARCHITECTURE.TAG.
# [retired]: names that timm still accepts, and what it takes in their place.
"""


def toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)


def plain(value):
    return list(value) if isinstance(value, tuple) else value


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[3]
    retired = {}
    for module in MODULES:
        retired.update(registry._module_to_deprecated_models[module])
    names = [(name, module) for module in MODULES for name in registry._module_to_models[module] if name not in retired]
    names.sort(key=lambda pair: registry._natural_key(pair[0]))

    lines = [HEADER.format(version=timm.__version__), f"timm = {toml(timm.__version__)}", "", "[defaults]"]
    lines += [f"{key} = {toml(value)}" for key, value in DEFAULTS.items()]
    lines += ["", "[retired]"]
    lines += [f"{old} = {toml(new)}" for old, new in sorted(retired.items())]
    golden = {"architectures": len(names), "pretrained": 0, "retired": retired, "default": {}, "models": {}}

    for name, module in names:
        default_cfg = registry._model_default_cfgs[name]
        tags = list(default_cfg.tags)
        assert len(set(tags)) == len(tags) == len(default_cfg.cfgs)
        lines += ["", "[[architectures]]", f"name = {toml(name)}", f"module = {toml(module)}"]
        golden["default"][name] = tags[0]
        for tag in tags:
            cfg = asdict(registry._model_pretrained_cfgs[f"{name}.{tag}"])
            hub = f"timm/{name}.{tag}"
            assert cfg["hf_hub_id"] in (None, hub), cfg["hf_hub_id"]
            has_weights = cfg["hf_hub_id"] == hub
            assert has_weights == (tag != "untrained")
            golden["pretrained"] += has_weights
            cfg["url"] = cfg["url"] or None
            fields = {k: plain(v) for k, v in cfg.items() if k not in DERIVED and v is not None}
            for key in DEFAULTS:
                assert key in fields, (name, tag, key)
            lines += ["[[architectures.tags]]", f"tag = {toml(tag)}"]
            lines += [f"{k} = {toml(v)}" for k, v in fields.items() if DEFAULTS.get(k) != v]
            cfg = {k: v for k, v in cfg.items() if v is not None}
            golden["models"][f"{name}.{tag}"] = {
                "hf_hub_id": cfg.get("hf_hub_id"),
                **fields,
                "train": resolve_data_config(pretrained_cfg=cfg),
                "test": resolve_data_config(pretrained_cfg=cfg, use_test_size=True),
            }

    (root / "weights-map" / "pretrained.toml").write_text("\n".join(lines) + "\n")
    # One entry per line, so that a change of one entry changes one line.
    models = golden.pop("models")
    head = json.dumps(golden)[:-1]
    body = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in models.items())
    Path(__file__).with_name("pretrained.json").write_text(f'{head}, "models": {{\n{body}\n}}}}\n')


main()
