"""The pathology domain: one scan, one exam, one closed set of labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from domains.core import (
    Flow,
    Image,
    InvalidParameter,
    MediaHeader,
    ModelCall,
    ModelSpec,
    ParameterInfo,
    Parameters,
    Plan,
)
from domains.core.gate import check_gate
from domains.pathology import exams
from domains.pathology.postprocess import classify
from domains.pathology.preprocess import fit_to_input, seen_box

ACCEPTED = ("exam", "frame")


class PathologyDomain:
    """Scans: which of an exam's labels, how sure, and where the evidence lies."""

    name = "pathology"
    title = "Medical scans: label probabilities with evidence (research use only)"

    def parameters(self, models: Sequence[ModelSpec]) -> Sequence[ParameterInfo]:
        """`exam`, with the installed exams, and `frame`."""
        return (
            ParameterInfo("exam", "What the scan shows; may be left out for DICOM files that say so themselves.",
                          tuple(exams.choices(models))),
            ParameterInfo("frame", "Which frame of a multi-frame file to analyse, from 1; the middle one by default."),
        )

    def check_model(self, model: ModelSpec) -> None:
        """Raises ValueError, naming the key, where `[domain_options]` are not an `exams.Options`, or ask for an output that isn't
        there.
        """
        check_gate(exams.options_of(model).gate, model)

    def selector(self, model: ModelSpec) -> Mapping[str, str]:
        """Its `exam`."""
        return {"exam": exams.options_of(model).exam}

    def sequence_options(self, model: ModelSpec) -> Mapping[str, Any]:
        """See sequence.OpenedWith."""
        options = exams.options_of(model)
        gate = {} if options.gate is None else msgspec.to_builtins(options.gate)
        return {**msgspec.to_builtins(options.sequence), **gate, "abstain_below": options.abstain_below}

    def plan(self, header: MediaHeader, parameters: Parameters, models: Sequence[ModelSpec]) -> Plan:
        """Chooses the exam's model and the frame. Full-size decoding: see docs/training.md for what reduced costs.

        Raises InvalidParameter for an unknown or impossible parameter, UnknownExam where no model or several fit.
        """
        unknown = [name for name in parameters if name not in ACCEPTED]
        if unknown:
            raise InvalidParameter(f"unknown parameter; {self.name} accepts: {', '.join(ACCEPTED)}",
                                   parameter=unknown[0])
        model = exams.choose(parameters.get("exam"), header.dicom, models)
        frame = exams.frame_of(parameters.get("frame"), header.frame_count)
        checked: dict[str, object] = {"exam": exams.options_of(model).exam}
        if "frame" in parameters:
            checked["frame"] = frame
        return Plan(model, frame_number=frame, parameters=checked)

    def flow(self, image: Image, plan: Plan) -> Flow:
        """One run on the tissue region; returns a Classification."""
        box = seen_box(image)
        outputs = yield ModelCall(plan.model.name, fit_to_input(image.cut(box), plan.model.input))
        return classify(outputs, plan.model.labels, exams.options_of(plan.model), box, _notices(image, plan))


def _notices(image: Image, plan: Plan) -> tuple[str, ...]:
    if image.frame_count == 1 or "frame" in (plan.parameters or {}):
        return ()
    told = f"Frame {image.frame_number} of {image.frame_count} was analysed; name another with the parameter 'frame'."
    return (told,)


DOMAIN = PathologyDomain()
