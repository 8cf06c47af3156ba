"""Classifies the images of a Parquet data set with Daft, on this machine or on a Ray cluster.

    python daft_frame.py IN OUT [--model NAME] [--workers 2] [--cpus 1]
    DAFT_RUNNER=ray python daft_frame.py ...

IN has a column `image`: the bytes of files, or the struct of bytes and path of Hugging Face's datasets. OUT has its other
columns and `index`, `label`, `probability` and `error`; an image that fails is a row with an error.
"""

import argparse

import daft
import effnet
from daft import DataType

ANSWER = DataType.struct(
    {
        "index": DataType.int32(),
        "label": DataType.string(),
        "probability": DataType.float32(),
        "error": DataType.string(),
    }
)


class Classify:
    """A worker with a model of its own."""

    def __init__(self, model, cpus):
        self.classifier = effnet.create_model(model, threads=cpus)

    @daft.method.batch(return_dtype=ANSWER, unnest=True, batch_size=64)
    def answers(self, images):
        images = images.to_pylist()
        images = [image["bytes"] or image["path"] if isinstance(image, dict) else image for image in images]
        results = self.classifier.classify(images, k=1, errors="return")
        return [answer(result) for result in results]


def answer(result):
    if isinstance(result, Exception):
        return {"index": None, "label": None, "probability": None, "error": str(result)}
    best = result[0]
    return {"index": best.index, "label": best.label, "probability": best.probability, "error": None}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--model")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cpus", type=int, default=1)
    args = parser.parse_args()
    workers = daft.cls(Classify, cpus=args.cpus, max_concurrency=args.workers)(args.model, args.cpus)
    images = daft.read_parquet(args.input)
    others = [column for column in images.column_names if column != "image"]
    answers = images.select(*others, workers.answers(images["image"]))
    answers.write_parquet(args.output, write_mode="overwrite")


if __name__ == "__main__":
    main()
