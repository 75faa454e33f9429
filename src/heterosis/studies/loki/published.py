"""The published profile of Loki's traffic pipeline, read from its folder; it is not ours to ship.

Ahmad et al., "Loki: A System for Serving ML Inference Pipelines with Hardware and Accuracy Scaling" (HPDC'24): a YOLOv5
finds objects in a frame, an EfficientNet tells the make of each car. Two files: the times of each model at each batch
size on a GTX 1080 Ti, and the objects per frame that each YOLOv5 finds, with the share of them that are cars.
"""

import csv
from pathlib import Path

import msgspec

from heterosis.terms import Latency
from heterosis.terms.errors import UsageError

FOLDER = "comparison"
TIMES, OBJECTS = "loki_traffic_1080ti.csv", "loki_branching.csv"

DETECTORS = {"yolov5n": 0.552, "yolov5s": 0.738, "yolov5m": 0.895, "yolov5l": 0.966, "yolov5x": 1.0}
CLASSIFIERS = {"eb0": 0.915, "eb1": 0.938, "eb2": 0.950, "eb3": 0.968, "eb4": 0.983, "eb5": 0.992, "eb6": 0.996}
"""Normalised accuracies (published; those of s and m stand exchanged there): of EfficientNets, to b7, which has no
times."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What the files say."""

    times: dict[str, dict[int, Latency]]
    """Of a batch of so many items, by model."""
    objects: dict[str, float]
    """Objects per frame that each detector finds."""
    cars: dict[str, float]
    """Cars among them."""

    def recall(self, detector: str) -> float:
        """Share that a detector finds of the cars that the most accurate one finds."""
        return self.cars[detector] / self.cars[max(DETECTORS, key=DETECTORS.__getitem__)]


def read(data: Path | None) -> Published:
    """Read the published profile. Raise UsageError where there is none."""
    if data is None:
        raise UsageError(
            f"this study needs Loki's published profile, which is not ours to ship: name the folder that holds "
            f"{FOLDER}/{TIMES} and {FOLDER}/{OBJECTS} with --data"
        )
    times: dict[str, dict[int, Latency]] = {}
    for row in _rows(data / FOLDER / TIMES, ("model", "batch", "p50_ms", "p95_ms")):
        p50, p95 = float(row["p50_ms"]), float(row["p95_ms"])
        # Of a mean and a 99th percentile the profile says nothing: the median, and as far again beyond the 95th.
        latency = Latency(mean_ms=p50, p50_ms=p50, p95_ms=p95, p99_ms=max(p95, 1.4 * p95 - 0.4 * p50))
        times.setdefault(row["model"].split("_")[0], {})[int(row["batch"])] = latency
    found = _rows(data / FOLDER / OBJECTS, ("detector", "objects_per_frame", "car_share"))
    objects = {row["detector"]: float(row["objects_per_frame"]) for row in found}
    cars = {row["detector"]: objects[row["detector"]] * float(row["car_share"]) for row in found}
    if missing := {*DETECTORS, *CLASSIFIERS} - set(times) | set(DETECTORS) - set(cars):
        raise UsageError(f"the published profile in {data / FOLDER} says nothing of {', '.join(sorted(missing))}")
    return Published(times=times, objects=objects, cars=cars)


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}; --data names the folder that holds {FOLDER}/"
        ) from None
    if not rows or not set(columns) <= set(rows[0]):
        raise UsageError(f"{path} needs the columns {', '.join(columns)}")
    return rows
