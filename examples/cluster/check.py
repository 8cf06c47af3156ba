"""Kills a worker in the middle of each example, and compares the rows with those of one process: see `check`.

    python check.py FOLDER [ray_data] [spark] [daft_frame]

The data set has good and bad images. A worker kills itself after its second batch, once: the others and the engine must
bring every row, and none twice, with the same bits.
"""

import contextlib
import io
import os
import pathlib
import subprocess
import sys
import time

import effnet
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = HERE.parent / "images"
PHOTOGRAPHS = [Image.open(path).convert("RGB") for path in sorted(FOLDER.iterdir()) if path.suffix != ".md"]
FILES, ROWS = 8, 64
# Every worker has a model in place of which this one stands, in all processes of the engine.
DYING = '''
import os, signal

if "KILL_MARK" in os.environ:
    import effnet

    create = effnet.create_model

    class Dying:
        def __init__(self, *arguments, **settings):
            self.model, self.calls = create(*arguments, **settings), 0

        def classify(self, *arguments, **settings):
            results = self.model.classify(*arguments, **settings)
            self.calls += 1
            with open(os.environ["KILL_MARK"] + ".log", "a") as log:
                log.write(f"{os.getpid()} {len(results)}\\n")
            if self.calls == 2:
                try:
                    os.close(os.open(os.environ["KILL_MARK"], os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    return results
                os.kill(os.getpid(), signal.SIGKILL)
            return results

    effnet.create_model = Dying
'''


def image(row):
    """The bytes of an image that no other row has, or of none."""
    if row % 20 == 7:
        return [b"", b"no image", None][row // 20 % 3]
    left, top = row % 50, row // 50
    crop = PHOTOGRAPHS[row % len(PHOTOGRAPHS)].crop((left, top, left + 240, top + 200))
    file = io.BytesIO()
    crop.save(file, "PNG", compress_level=1)
    data = file.getvalue()
    return data[: len(data) // 2] if row % 20 == 13 else data


def write(folder, layout):
    folder.mkdir()
    for file in range(FILES):
        keys = range(file * ROWS, (file + 1) * ROWS)
        images = [image(key) for key in keys]
        if layout == "struct":
            # Hugging Face's datasets: bytes, or the path of a file.
            images = [{"bytes": data, "path": f"{key}.jpg"} for key, data in zip(keys, images)]
            if file == 0:
                images[0] = {"bytes": None, "path": str(FOLDER / "coffee.png")}
        pq.write_table(pa.table({"key": keys, "image": images}), folder / f"{file}.parquet", row_group_size=ROWS)


def expected(folder):
    """The rows of one process."""
    table = pq.read_table(folder)
    images = [i["bytes"] or i["path"] if isinstance(i, dict) else i for i in table["image"].to_pylist()]
    rows = {}
    for key, result in zip(table["key"].to_pylist(), effnet.create_model().classify(images, k=1, errors="return")):
        if isinstance(result, Exception):
            rows[key] = (None, None, None, str(result))
        else:
            rows[key] = (result[0].index, result[0].label, result[0].probability, None)
    assert len(rows) == FILES * ROWS
    assert sum(row[3] is not None for row in rows.values()) >= FILES * ROWS // 11
    return rows


@contextlib.contextmanager
def ray_cluster(_):
    """A head without workers and two machines with two cores each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=2, object_store_memory=200 << 20)
        yield [sys.executable], {"RAY_ADDRESS": cluster.address, "DAFT_RUNNER": "ray"}
    finally:
        cluster.shutdown()


@contextlib.contextmanager
def spark_cluster(folder):
    """A master and two workers with a core each."""
    import pyspark

    home = pathlib.Path(pyspark.__file__).parent
    port, master = 17077, "org.apache.spark.deploy.master.Master"
    environment = {**os.environ, "SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    environment["SPARK_WORKER_DIR"] = str(folder / "spark")
    def start(*arguments):
        log = open(folder / "spark.log", "a")
        return subprocess.Popen([home / "bin/spark-class", *map(str, arguments)], env=environment, stdout=log, stderr=log)

    started = [start(master, "--host", "127.0.0.1", "--port", port, "--webui-port", 0)]
    try:
        time.sleep(5)
        url = f"spark://127.0.0.1:{port}"
        for _ in range(2):
            worker = ("org.apache.spark.deploy.worker.Worker", "--cores", 1, "--memory", "1g", "--webui-port", 0, url)
            started.append(start(*worker))
        submit = [home / "bin/spark-submit", "--master", url, "--conf", "spark.executor.memory=512m"]
        yield submit, {"SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


CLUSTERS = {"ray_data": ray_cluster, "spark": spark_cluster, "daft_frame": ray_cluster}
LAYOUTS = {"ray_data": "struct", "spark": "bytes", "daft_frame": "struct"}


def check(engine, folder, rows):
    (folder / "kill").mkdir(exist_ok=True)
    (folder / "kill/sitecustomize.py").write_text(DYING)
    mark, output = folder / f"{engine}.killed", folder / f"{engine}.out"
    os.environ.update({"KILL_MARK": str(mark), "PYTHONPATH": str(folder / "kill")})
    with CLUSTERS[engine](folder) as (launcher, variables):
        arguments = [*launcher, HERE / f"{engine}.py", folder / LAYOUTS[engine], output]
        begin = time.monotonic()
        subprocess.run(list(map(str, arguments)), env={**os.environ, **variables}, check=True)
        seconds = time.monotonic() - begin
    assert mark.exists(), "no worker was killed"
    calls = [line.split() for line in mark.with_name(mark.name + ".log").read_text().splitlines()]
    workers = {process for process, _ in calls}
    table = pq.read_table(output)
    found = zip(*(table[name].to_pylist() for name in ("key", "index", "label", "probability", "error")))
    seen = {}
    for key, *row in found:
        assert key not in seen, f"row {key} is there twice"
        seen[key] = tuple(row)
    assert seen.keys() == rows.keys(), f"{len(rows.keys() - seen.keys())} rows are lost"
    other = [key for key in rows if seen[key] != rows[key]]
    assert not other, f"rows {other[:5]} differ: {seen[other[0]]} is not {rows[other[0]]}"
    again = sum(int(images) for _, images in calls) - len(rows)
    bad = sum(row[3] is not None for row in rows.values())
    print(f"{engine}: {len(rows)} rows, {bad} with an error, in {seconds:.0f} s; {len(workers)} workers in all, one killed; "
          f"{again} images classified twice, no row lost or doubled")


def main():
    folder = pathlib.Path(sys.argv[1])
    rows = {}
    for layout in ("bytes", "struct"):
        write(folder / layout, layout)
        rows[layout] = expected(folder / layout)
    for engine in sys.argv[2:] or CLUSTERS:
        check(engine, folder, rows[LAYOUTS[engine]])


if __name__ == "__main__":
    main()
