"""Makes the PyTorch files in tests/data/pth, sound and hostile.

    python generate.py

Every sound file has the tensors of `plain.safetensors`; the tests compare the two.
The legacy files differ from run to run: PyTorch names their storages by address.
"""

import collections
import pickle
import struct
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parents[2] / "data" / "pth"
OUT.mkdir(parents=True, exist_ok=True)


def tensors():
    """Values that f16 and bf16 hold exactly."""
    grid = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) / 8 - 1
    return {"conv.weight": grid, "bn.weight": torch.tensor([1.0, -2.0, 0.5]), "one": torch.tensor(4.0)}


def save(name, value, **options):
    torch.save(value, OUT / name, **options)


def sound():
    plain = tensors()
    save_file(plain, OUT / "plain.safetensors")
    save("plain.pth", collections.OrderedDict(plain))
    save("legacy.pth", plain, _use_new_zipfile_serialization=False)
    half = {name: value.half() for name, value in plain.items()}
    save("half.pth", half)
    save("legacy_half.pth", half, _use_new_zipfile_serialization=False)
    save("bf16.pth", {name: value.bfloat16() for name, value in plain.items()})
    save("parameter.pth", {name: torch.nn.Parameter(value) for name, value in plain.items()})
    view = plain | {"conv.weight": plain["conv.weight"].permute(2, 0, 1).contiguous().permute(1, 2, 0)}
    assert not view["conv.weight"].is_contiguous()
    save("view.pth", view)
    save("legacy_view.pth", view, _use_new_zipfile_serialization=False)
    pool = torch.cat([value.flatten() for value in plain.values()])
    shared = {"conv.weight": pool[:24].reshape(2, 3, 4), "bn.weight": pool[24:27], "one": pool[27]}
    save("shared.pth", shared)
    wrong = {name: value + 1 for name, value in plain.items()}
    training = {
        "epoch": 7,
        "metric": 0.5,
        "arch": "a name",
        "state_dict": wrong,
        "state_dict_ema": {f"module.{name}": value for name, value in plain.items()},
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]},
    }
    save("ema.pth", training)
    without = {"state_dict": {f"_orig_mod.module.{n}": v for n, v in plain.items()}, "state_dict_ema": None}
    save("no_ema.pth", without)
    save("types.pth", plain | {"int8": torch.tensor([1, 2], dtype=torch.int8), "f64": torch.zeros(2, dtype=torch.float64)})


def archive(name, data, storages=None, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(OUT / name, "w", method) as out:
        for entry, content in {"data.pkl": data, "byteorder": b"little", **(storages or {})}.items():
            info = zipfile.ZipInfo(f"archive/{entry}", (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            out.writestr(info, content)


class System:
    """Runs a command when Python unpickles it."""

    def __reduce__(self):
        import os

        return os.system, ("touch effnet-pickle-was-run",)


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value):
    packed = value.to_bytes(9, "little")
    return b"\x8a" + bytes([len(packed) - 1]) + packed[:8]


def tensor(size, stride, offset=0, count=2):
    """A pickled state dict of one tensor `w`, with every number a parameter."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number(count) + b"tQ"
    shape = b"(" + b"".join(map(number, size)) + b"t"
    strides = b"(" + b"".join(map(number, stride)) + b"t"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + shape + strides + b"\x89NtR"
    return b"\x80\x02}" + text("w") + call + b"s."


def hostile():
    eight = {"data/0": bytes(8)}
    archive("system.pth", pickle.dumps({"w": System()}, protocol=2))
    archive("system4.pth", pickle.dumps({"w": System()}, protocol=4))
    archive("eval.pth", b"\x80\x02cbuiltins\neval\n" + text("1") + b"\x85R.")
    plain = (OUT / "plain.pth").read_bytes()
    (OUT / "truncated.pth").write_bytes(plain[: len(plain) // 2])
    legacy = (OUT / "legacy.pth").read_bytes()
    (OUT / "legacy_truncated.pth").write_bytes(legacy[:-6])
    archive("compressed.pth", tensor([2], [1]), eight, zipfile.ZIP_DEFLATED)
    archive("huge.pth", tensor([1 << 40], [1]), eight)
    archive("huge_storage.pth", tensor([1 << 40], [1], count=1 << 40), eight)
    archive("huge_repeated.pth", tensor([1 << 40], [0]), eight)
    archive("overflow.pth", tensor([1 << 62, 1 << 62], [1, 1]), eight)
    archive("stride.pth", tensor([2], [1 << 62]), eight)
    archive("offset.pth", tensor([2], [1], offset=1), eight)
    archive("negative.pth", tensor([2], [1]).replace(number(2) + b"t(", b"K\x02t(").replace(b"K\x02t(", b"J\xff\xff\xff\xfft("), eight)
    archive("no_storage.pth", tensor([2], [1]))
    archive("deep.pth", b"\x80\x02" + b"(" * 1000 + b"." )
    archive("memo.pth", b"\x80\x02Nr\xff\xff\xff\xff.")
    many = b"\x80\x02NN\x86q\x00](" + b"h\x00" * 4000 + b"e\x85q\x01ccollections\nOrderedDict\nq\x02"
    archive("pairs.pth", many + b"h\x02h\x01R0" * 1000 + b".")
    pairs = b"".join(b"](" + text(n) + tensor([2], [1])[len(b"\x80\x02}" + text("w")) : -2] + b"e" for n in "ab")
    archive("python2.pth", b"\x80\x02ccollections\nOrderedDict\n](" + pairs + b"e\x85R.", eight)
    laughs = b"\x80\x02]q\x00" + b"".join(b"(" + b"h" + bytes([i]) + b"h" + bytes([i]) + b"tq" + bytes([i + 1]) for i in range(100))
    archive("laughs.pth", laughs + b".")
    archive("not_torch.zip", b"")
    with zipfile.ZipFile(OUT / "not_torch.zip", "w") as out:
        out.writestr(zipfile.ZipInfo("config.json", (1980, 1, 1, 0, 0, 0)), "{}")


sound()
hostile()
