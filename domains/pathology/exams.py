"""Which exam a request is about: named by the caller, or read from the DICOM header by the installed models' rules.

There is no list of exams in the code: each model package's `[domain_options]` names its exam and the DICOM attributes
that ask for it, so that a further exam is a further package.
"""

from collections.abc import Sequence

import msgspec

from domains.core import DicomDescription, InvalidParameter, ModelSpec, UnknownExam
from domains.core.classifier import Calibrated
from domains.core.gate import Gate
from domains.pathology.sequence import SequenceOptions


class DicomRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks for an exam where Modality and BodyPartExamined are listed, or Modality is and StudyDescription holds a keyword."""

    modality: tuple[str, ...]
    body_part: tuple[str, ...] = ()
    study_description: tuple[str, ...] = ()

    def matches(self, description: DicomDescription) -> bool:
        """Whether the header asks for the exam; letter case and surrounding blanks don't matter."""
        if description.Modality.strip().casefold() not in {known.casefold() for known in self.modality}:
            return False
        part = description.BodyPartExamined.strip().casefold()
        study = description.StudyDescription.casefold()
        return part in {known.casefold() for known in self.body_part} or any(
            keyword.casefold() in study for keyword in self.study_description
        )


class Options(Calibrated, frozen=True, forbid_unknown_fields=True):
    """The `[domain_options]` of a pathology model."""

    exam: str
    dicom: DicomRule
    gate: Gate | None = None
    sequence: SequenceOptions = SequenceOptions()


def options_of(model: ModelSpec) -> Options:
    """The model's checked options. Raises ValueError, naming the key, where they are not what this domain needs."""
    return model.options_as(Options)


def choices(models: Sequence[ModelSpec]) -> dict[str, ModelSpec]:
    """Exam name to model, in order of name."""
    return dict(sorted((options_of(model).exam, model) for model in models))


def choose(named: object, description: DicomDescription | None, models: Sequence[ModelSpec]) -> ModelSpec:
    """The model that answers. Raises UnknownExam, listing the choices, where none or several would."""
    offered = choices(models)
    listed = ", ".join(offered) or "none is installed"
    if named is not None:
        if not isinstance(named, str) or named not in offered:
            raise UnknownExam(f"there is no such exam; choose the parameter 'exam' from: {listed}", parameter="exam")
        return offered[named]
    if description is None:
        raise UnknownExam(f"name the exam with the parameter 'exam', one of: {listed}", parameter="exam")
    found = _asked_for(offered, description)
    if len(found) != 1:
        problem = "fit no exam" if not found else "fit more than one exam"
        raise UnknownExam(
            f"Modality, BodyPartExamined and StudyDescription of the DICOM file {problem}; "
            f"name it with the parameter 'exam', one of: {listed}", parameter="exam")
    return found[0]


def frame_of(value: object, frame_count: int) -> int:
    """The frame to analyse, from 1; the middle one unless named. Raises InvalidParameter."""
    if value is None:
        return (frame_count + 1) // 2
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= frame_count:
        raise InvalidParameter(f"'frame' must be a whole number from 1 to {frame_count}", parameter="frame")
    return number


def _asked_for(offered: dict[str, ModelSpec], description: DicomDescription) -> list[ModelSpec]:
    """A body part that a rule lists decides; the study's free text only where no rule lists the part."""
    part = DicomDescription(Modality=description.Modality, BodyPartExamined=description.BodyPartExamined)
    by_part = [model for model in offered.values() if options_of(model).dicom.matches(part)]
    return by_part or [model for model in offered.values() if options_of(model).dicom.matches(description)]
