"""Seeds for the fuzz targets, from the files of tests/data, into fuzz/corpus (or the folder given).

Python's standard library is enough, except for the tables of `recognition`, which need the
libraries of tests/parity/requirements.txt.
"""

import json
import pathlib
import re
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "tests/data"
OUT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "fuzz/corpus"
LARGEST = 64 << 10


def put(target, name, content):
    if not content or len(content) > LARGEST:
        return
    folder = OUT / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / re.sub(r"[^A-Za-z0-9_.-]", "_", name)).write_bytes(content)


def files(*folders):
    for folder in folders:
        for path in sorted((DATA / folder).rglob("*")):
            if path.is_file():
                yield path, path.read_bytes()


def images():
    magic = {
        "jpeg": (b"\xff\xd8\xff",), "png": (b"\x89PNG",), "gif": (b"GIF8",), "webp": (b"RIFF",),
        "ico": (b"\0\0\1\0", b"\0\0\2\0"), "tiff": (b"II", b"MM"), "qoi": (b"qoif",),
        "jpeg2000": (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"), "bmp": (b"BM", b"\x28\0\0\0"),
    }
    for path, content in files("images"):
        if path.suffix in (".json", ".md"):
            continue
        target = next((t for t, starts in magic.items() if content.startswith(starts)), None)
        if path.suffix == ".tga":
            target = "tga"
        if path.suffix in (".pbm", ".pgm", ".ppm", ".pfm"):
            target = "pnm"
        if target:
            put(target, path.name, content)
        if content.startswith(b"BM"):
            put("bmp", path.stem + ".dib", content[14:])


def checkpoints():
    for path, content in files("pth", "keras"):
        name = "_".join(path.relative_to(DATA).parts)
        if content.startswith(b"\x89HDF"):
            put("hdf5", name, content)
        elif content.startswith(b"PK"):
            put("keras" if path.suffix == ".keras" else "pth", name, content)
        elif path.suffix == ".safetensors":
            put("safetensors", name, content)
        elif content.startswith(b"\x80"):
            put("legacy_pickle", name, content)

    def safetensors(tensors, **metadata):
        header, body = {}, b""
        if metadata:
            header["__metadata__"] = metadata
        for name, (dtype, shape, values) in tensors.items():
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(values)]}
            body += values
        header = json.dumps(header).encode()
        return struct.pack("<Q", len(header)) + header + body

    one = {"one": ("F32", [2, 3], struct.pack("<6f", *range(6)))}
    many = {
        "module.a": ("F16", [2], b"\0\x3c\0\xbc"), "module.b": ("BF16", [1], b"\x80\x3f"),
        "module.c": ("F64", [1], struct.pack("<d", 0.1)), "module.n": ("I64", [], struct.pack("<q", 7)),
    }
    averaged = {f"{part}.conv.weight": ("F32", [1], struct.pack("<f", 1)) for part in ("model", "model_ema.module", "optimizer")}
    put("safetensors", "one", safetensors(one))
    put("safetensors", "many", safetensors(many, format="pt", convention="torchvision", model="efficientnet_b0"))
    put("safetensors", "averaged", safetensors(averaged, config='{"architecture": "efficientnet_b0", "num_classes": 3}'))
    index = {"metadata": {"total_size": 32}, "weight_map": {"one": "a", "two": "b"}}
    put("shards", "both", json.dumps(index).encode() + b"\0" + safetensors(one))
    put("shards", "missing", json.dumps({"weight_map": {"one": "a", "three": "c"}}).encode() + b"\0" + safetensors(one))
    put("shards", "only_two", json.dumps({"weight_map": {"two": "b"}}).encode())


def texts():
    for path, content in files("fine_tuned", "transformers"):
        name = "_".join(path.relative_to(DATA).parts)
        if path.name == "config.json":
            processor = path.with_name("preprocessor_config.json")
            if processor.exists():
                put("preprocessor_config", name, processor.read_bytes())
                content += b"\0" + processor.read_bytes()
            put("config", name, content)
        elif path.suffix in (".txt",) or path.name in ("class_names.json", "class_to_idx.json"):
            put("labels", name, content)
    everything = {
        "architecture": "tf_efficientnet_lite0", "num_classes": 1000, "num_features": 1280, "global_pool": "avg",
        "problem_type": "multi_label_classification", "model_type": "timm_wrapper", "pipeline": "transformers",
        "model_args": {"bn_eps": 1e-5, "act_layer": "relu", "pad_type": "same", "num_classes": 1000, "in_chans": 3},
        "pretrained_cfg": {
            "tag": "mine", "custom_load": False, "input_size": [3, 96, 128], "test_input_size": [3, 128, 160],
            "min_input_size": [3, 32, 32], "fixed_input_size": True, "interpolation": "lanczos", "crop_pct": 0.9,
            "test_crop_pct": 0.95, "crop_mode": "border", "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6],
            "num_classes": 1000, "pool_size": [3, 4], "first_conv": "conv_stem", "classifier": ["classifier", "a"],
            "license": "mit", "description": "x", "paper_ids": ["arXiv:1"], "notes": ["a"],
            "label_names": None, "label_descriptions": None, "origin_url": "http://x", "url": "", "file": None,
        },
    }
    put("config", "everything", json.dumps(everything, indent=1).encode())
    flat = dict(everything["pretrained_cfg"], architecture="efficientnet_b0", num_classes=2, labels=["cat", "dog"],
                label_descriptions={"cat": "a cat", "dog": "a dog"})
    put("config", "flat", json.dumps(flat).encode())
    put("config", "plain", b'{"architecture": "tf_efficientnet_lite0"}')
    put("preprocessor_config", "everything", json.dumps({
        "image_processor_type": "EfficientNetImageProcessor", "do_resize": True, "size": {"height": 64, "width": 64},
        "resample": 3, "do_center_crop": True, "crop_size": {"height": 56, "width": 56}, "do_rescale": True,
        "rescale_factor": 0.00784313725490196, "rescale_offset": True, "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406], "image_std": 0.5, "include_top": False, "do_pad": False}).encode())
    put("preprocessor_config", "shortest", b'{"size": {"shortest_edge": 40}, "crop_size": 32, "do_center_crop": true}')
    for number, text in enumerate([
        "cat\ndog\n", "0 cat\n1 dog\n", "0,cat\n1,dog", "cat,0\ndog,1\n", "index,name\n1,dog\n0,\"a \"\"b\"\", c\"\n",
        '["cat", "dog"]', '{"0": "cat", "1": "dog"}', '{"dog": 1, "cat": 0}', "label;id\nx;0\n", "\ufeffa\r\nb\r\n",
        '{"id2label": {"0": "a", "1": "b"}, "num_labels": 2}', '{"label_names": ["a"]}', "00: x\n01: y\n",
    ]):
        put("labels", f"form_{number}", text.encode())
    for path in sorted((ROOT / "src/arch/table").glob("*.rs")):
        strings = re.findall(r'"((?:cn|ds|dsa|ir|er|uir|mqa|mha)_[^"]*)"', path.read_text())
        for number in range(0, len(strings), 12):
            part = strings[number:number + 12]
            lines = [" ".join(part[i:i + 2]) for i in range(0, len(part), 2)]
            put("blocks", f"{path.stem}_{number}", "\n".join(lines).encode())
    put("blocks", "every_token", b"er_r1_k3_s1_e4_c24_fc24_gs8_se0.5_nre_noskip cn_r1_k3_s1_e1_c16_skip\n"
        b"ir_r1_k3.5_a1.1_p1.1.1_s1_e6_c40\nir_r1_k3_s1_e6_c40_cc4 ds_r1_k3_s1_c16_d1\nmqa_r1_k3_h4_s1_v2_d64_c160")
    for path in sorted((ROOT / "weights-map/conventions").glob("*.toml")):
        text = path.read_text()
        put("conventions", path.name, text.encode())
        # One family alone is short enough for mutations to reach every part.
        head, *families = re.split(r"(?m)^(?=\[families\.[^.\]]+\]$)", text)
        for number, family in enumerate(families):
            put("conventions", f"{path.stem}_{number}", (head + family).encode())


def hub():
    config = (ROOT / "tests/data/transformers/mobilenet_v2/config.json").read_bytes()
    timm = b'{"architecture": "efficientnet_b0", "num_classes": 2}'
    between = b"\n====\n"

    def told(kind="@SHA256", length="@LENGTH"):
        return (f'HTTP/1.1 200 OK\r\nX-Repo-Commit: @COMMIT\r\nX-Linked-Etag: "{kind}"\r\nX-Linked-Size: {length}\r\n'
                "Content-Length: 0\r\n\r\n").encode()

    def body(content):
        return f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content

    missing = b"HTTP/1.1 404 Not Found\r\nX-Error-Code: EntryNotFound\r\nX-Error-Message: no\r\nContent-Length: 0\r\n\r\n"
    moved = (b"HTTP/1.1 302 Found\r\nX-Repo-Commit: @COMMIT\r\nX-Linked-Etag: \"@SHA256\"\r\nX-Linked-Size: @LENGTH\r\n"
             b"Location: http://storage/a/b?Signature=x\r\n\r\n")
    put("hub", "timm", between.join([told(), body(timm), told(), body(b"weights"), told("@GIT"), body(b"a\nb\n")]))
    put("hub", "transformers", between.join([told(), body(config), missing, missing, told(), body(b"pickle"), missing]))
    put("hub", "moved", between.join([moved, body(timm), moved, b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-6/7\r\n\r\nweights"]))
    put("hub", "chunked", between.join([told(), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n35\r\n" + timm + b"\r\n0\r\n\r\n"]))
    for status, more in [
        (401, "X-Error-Code: GatedRepo"), (401, "X-Error-Code: RepoNotFound"), (403, "X-Error-Message: hf_secretsecretsecret"),
        (429, "Retry-After: 0"), (503, "Retry-After: 30"), (500, "X: y"), (407, "X: y"), (416, "X: y"),
        (301, "Location: /elsewhere"), (302, "Location: //other/x"), (307, "Location: https://other/x"), (308, "X: y"),
    ]:
        refusal = f"HTTP/1.1 {status} No\r\n{more}\r\nContent-Length: 0\r\n\r\n".encode()
        put("hub", f"status_{status}_{len(more)}", between.join([refusal] * 3))
        put("hub", f"later_{status}_{len(more)}", between.join([told(), refusal, refusal, refusal, told(), body(timm)]))


def recognition():
    def table(name, shapes, first="- -"):
        lines = [first] + [" ".join([key, *map(str, shape)]) for key, shape in shapes]
        put("recognition", name, "\n".join(lines).encode())

    for path, content in files("fine_tuned"):
        if path.suffix == ".safetensors":
            (length,) = struct.unpack("<Q", content[:8])
            header = json.loads(content[8:8 + length])
            shapes = [(key, value["shape"]) for key, value in header.items() if key != "__metadata__"]
            table("_".join(path.relative_to(DATA).parts), shapes)
    try:
        import timm
        import torchvision
        from efficientnet_pytorch import EfficientNet
    except ImportError:
        print("recognition: only what the files have")
        return
    shapes = lambda model: [(key, list(value.shape)) for key, value in model.state_dict().items()]
    for name in ["mobilenetv3_small_050", "efficientnet_lite0", "mnasnet_small"]:
        model = timm.create_model(name, num_classes=3)
        table(f"timm_{name}", shapes(model), f"timm {name}")
        table(f"any_{name}", [(f"net.{key}", shape) for key, shape in shapes(model)])
    table("torchvision_v3", shapes(torchvision.models.mobilenet_v3_small()), "torchvision -")
    table("torchvision_mnasnet", shapes(torchvision.models.mnasnet0_5()), "torchvision -")
    table("torchvision_any", shapes(torchvision.models.efficientnet_b0()))
    table("pytorch_b0", shapes(EfficientNet.from_name("efficientnet-b0")), "efficientnet-pytorch -")
    table("nothing", [("a", [1]), ("b", [])])


images()
checkpoints()
texts()
hub()
recognition()
for folder in sorted(OUT.iterdir()):
    print(folder.name, len(list(folder.iterdir())))
