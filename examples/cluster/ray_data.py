"""Classifies the images of a Parquet data set on a Ray cluster.

    python ray_data.py IN OUT [--model NAME] [--workers 2] [--cpus 1]

IN has a column `image`: the bytes of files, or the struct of bytes and path of Hugging Face's datasets. OUT has its other
columns and `index`, `label`, `probability` and `error`; an image that fails is a row with an error.
"""

import argparse

import effnet
import pyarrow as pa
import ray


class Classify:
    """An actor with a model of its own."""

    def __init__(self, model, cpus):
        self.classifier = effnet.create_model(model, threads=cpus)

    def __call__(self, table):
        images = table["image"].to_pylist()
        images = [image["bytes"] or image["path"] if isinstance(image, dict) else image for image in images]
        results = self.classifier.classify(images, k=1, errors="return")
        best = [None if isinstance(result, Exception) else result[0] for result in results]
        table = table.drop_columns("image")
        table = table.append_column("index", pa.array([p and p.index for p in best], pa.int32()))
        table = table.append_column("label", pa.array([p and p.label for p in best], pa.string()))
        table = table.append_column("probability", pa.array([p and p.probability for p in best], pa.float32()))
        errors = [str(result) if isinstance(result, Exception) else None for result in results]
        return table.append_column("error", pa.array(errors, pa.string()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--model")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cpus", type=int, default=1)
    args = parser.parse_args()
    # What an actor does again after another one's death, and what a machine must hold.
    ray.data.DataContext.get_current().target_max_block_size = 16 << 20
    images = ray.data.read_parquet(args.input)
    answers = images.map_batches(
        Classify,
        fn_constructor_args=(args.model, args.cpus),
        batch_format="pyarrow",
        batch_size=64,
        num_cpus=args.cpus,
        compute=ray.data.ActorPoolStrategy(size=args.workers),
    )
    answers.write_parquet(args.output)


if __name__ == "__main__":
    main()
