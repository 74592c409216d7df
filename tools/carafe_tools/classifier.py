"""`convert` for image classifiers: from a .tflite and its labels to a model folder, whole and
certified or not at all.

Goes in: an 8-bit classifier .tflite as `classifier_source` describes it, and a file of labels.
Comes out: `models/NAME` with the graph as OpenVINO's TFLite frontend reads it, narrowed to 32 bits,
the labels, `certificate.json` and `model.toml`. The frontend keeps the 8-bit weights as u8
constants and the quantised activations as `FakeQuantize`, of which the CPU plugin makes 8-bit
kernels.
"""

from pathlib import Path
from typing import Any

import openvino as ov

from carafe_tools import classifier_certificate
from carafe_tools.certificate import CERTIFICATE, GRAPH, WEIGHTS, load_graph
from carafe_tools.classifier_certificate import ImageEvidence, certify_image
from carafe_tools.classifier_rule import image_rule
from carafe_tools.classifier_source import ClassifierSource, check_classifier, read_labels
from carafe_tools.environment import read_model
from carafe_tools.errors import require
from carafe_tools.folder import atomic_folder
from carafe_tools.manifest import Manifest, Port, check_folder_name, sha256
from carafe_tools.model_folder import About, copy_licence, finish
from carafe_tools.narrow import narrow
from carafe_tools.opening import Carafe
from carafe_tools.progress import Progress
from carafe_tools.tflite_file import read_tflite

LABELS = "labels.txt"
PICTURES = Path(__file__).parents[2] / "images"
PICTURE_SUFFIXES = (".bmp", ".jpg", ".png")
STEPS = 4 + classifier_certificate.STEPS


def pictures() -> list[Path]:
    """Return the bundled pictures, in the order of their names; none where the package was
    installed without them.
    """
    return sorted(path for path in PICTURES.glob("*") if path.suffix in PICTURE_SUFFIXES)


def convert(source: Path, out: Path, labels: Path, about: About, carafe: Carafe | None) -> dict[str, Any]:
    """Write the model folder of a classifier and return what to tell about it."""
    check_folder_name(about.name, out)
    progress = Progress(STEPS)
    progress.step(f"check the source `{source}` and the labels `{labels}`")
    classifier = check_classifier(read_tflite(source))
    names = read_labels(labels, classifier.classes)
    with atomic_folder(out) as folder:
        progress.step("read the graph, narrow it and save it")
        graph = read_model(source)
        narrow(graph)
        ov.save_model(graph, folder / GRAPH, compress_to_fp16=False)
        (folder / LABELS).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        copy_licence(about, folder)
        progress.step("reload the saved graph")
        evidence = image_evidence(folder, about.name, source, classifier, image_rule(classifier))
        certificate = certify_image(evidence, progress)
        return finish(folder, out, certificate, _manifest(evidence, about, graph, classifier), carafe, progress)


def image_evidence(folder: Path, name: str, source: Path, classifier: ClassifierSource, rule: dict[str, Any]) -> ImageEvidence:
    """Return what a certificate is made from, refusing a saved graph whose input or output is not
    the source's own.
    """
    graph = load_graph(folder)
    expected = [
        f"u8 [1,{classifier.height},{classifier.width},3]",
        f"{classifier.output_type} [1,{classifier.classes}]",
    ]
    found = [f"{port.get_element_type().to_string()} {port.get_partial_shape()}" for port in (*graph.inputs, *graph.outputs)]
    require(found == expected, f"the graph made of `{source}` has {found} as input and output; {expected} was expected")
    return ImageEvidence(folder, name, source, rule, pictures())


def _manifest(evidence: ImageEvidence, about: About, graph: ov.Model, classifier: ClassifierSource) -> Manifest:
    return Manifest(
        name=about.name,
        task=classifier_certificate.TASK,
        description=about.description or _description(classifier),
        files={"graph": GRAPH, "weights": WEIGHTS, "labels": LABELS, "certificate": CERTIFICATE},
        inputs=[Port(graph.input(0).get_any_name(), "pixels", "u8", list(graph.input(0).shape))],
        outputs=[Port(graph.output(0).get_any_name(), "scores", classifier.output_type, list(graph.output(0).shape))],
        sections={"image": evidence.rule},
        licence=about.licence,
        source=evidence.source,
        source_sha256=sha256(evidence.source),
    )


def _description(classifier: ClassifierSource) -> str:
    return f"image classifier, {classifier.width} x {classifier.height} pixels, {classifier.classes} labels, 8-bit"
