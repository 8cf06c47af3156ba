"""The service that one writes in Python: FastAPI, Pillow, and ONNX Runtime or OpenVINO.

    service.py export weights-map/bundled/tf_efficientnet_lite0.in1k.safetensors lite0.onnx
    service.py onnxruntime|openvino lite0.onnx PORT THREADS

`export` writes timm's tf_efficientnet_lite0 with these weights. The service answers POST /classify with a body of one
image, as effnet does: the five most probable classes as JSON. Requests run in a pool of THREADS threads, and the
network on THREADS threads.
"""

import io
import sys
import threading


def export(weights, path):
    import timm
    import torch
    from safetensors.torch import load_file

    model = timm.create_model("tf_efficientnet_lite0").eval()
    tensors = {name: tensor.float() for name, tensor in load_file(weights).items()}
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    # PyTorch counts batches, which no inference reads.
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    torch.onnx.export(
        model,
        torch.zeros(1, 3, 224, 224),
        path,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}},
        dynamo=False,
    )


def runner(engine, path, threads):
    if engine == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda images: session.run(["logits"], {"input": images})[0]
    import openvino

    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", hints)
    lock = threading.Lock()
    request = compiled.create_infer_request()

    def run(images):
        with lock:
            return request.infer({"input": images})["logits"].copy()

    return run


def serve(engine, path, port, threads):
    from concurrent.futures import ThreadPoolExecutor

    import asyncio
    import numpy
    import uvicorn
    from fastapi import FastAPI, HTTPException, Request
    from PIL import Image

    run = runner(engine, path, threads)
    pool = ThreadPoolExecutor(threads)
    app = FastAPI()

    def classify(body):
        image = Image.open(io.BytesIO(body)).convert("RGB")
        # timm's evaluation transform: crop_pct 0.875, bicubic.
        size = 256
        width, height = image.size
        scaled = (size, int(size * height / width)) if width < height else (int(size * width / height), size)
        image = image.resize(scaled, Image.Resampling.BICUBIC)
        left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
        image = image.crop((left, top, left + 224, top + 224))
        values = (numpy.asarray(image, numpy.float32) / 255.0 - 0.5) / 0.5
        logits = run(numpy.ascontiguousarray(values.transpose(2, 0, 1)[None]))[0]
        exponents = numpy.exp(logits - logits.max())
        probabilities = exponents / exponents.sum()
        best = numpy.argsort(-logits)[:5]
        return [{"index": int(i), "probability": float(probabilities[i])} for i in best]

    @app.post("/classify")
    async def answer(request: Request):
        body = await request.body()
        try:
            return {"predictions": await asyncio.get_running_loop().run_in_executor(pool, classify, body)}
        except OSError as error:
            raise HTTPException(422, str(error)) from error

    uvicorn.run(app, port=port, access_log=False, log_level="warning")


if __name__ == "__main__":
    command, path, *rest = sys.argv[1:]
    if command == "export":
        export(path, rest[0])
    else:
        serve(command, path, int(rest[0]), int(rest[1]))
