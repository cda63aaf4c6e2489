"""The words that every domain and everything above it shares: pictures, models, flows, results, errors."""

from domains.core.flow import Domain, Flow, ModelCall, Outputs, ParameterInfo, Parameters, Plan
from domains.core.image import DicomDescription, Image, MediaHeader, Pixels, UltrasoundRegion
from domains.core.results import Abstention, Box, Classification, Instance, Result, Segmentation
from domains.core.spec import InputSpec, ModelSpec
from domains.errors import (
    CorruptMedia,
    DomainError,
    EmptyMedia,
    InvalidParameter,
    MediaError,
    MediaTooLarge,
    UnknownDomain,
    UnknownExam,
    UnsupportedMedia,
)

__all__ = [
    "Abstention",
    "Box",
    "Classification",
    "CorruptMedia",
    "DicomDescription",
    "Domain",
    "DomainError",
    "EmptyMedia",
    "Flow",
    "Image",
    "InputSpec",
    "Instance",
    "InvalidParameter",
    "MediaError",
    "MediaHeader",
    "MediaTooLarge",
    "ModelCall",
    "ModelSpec",
    "Outputs",
    "ParameterInfo",
    "Parameters",
    "Pixels",
    "Plan",
    "Result",
    "Segmentation",
    "UltrasoundRegion",
    "UnknownDomain",
    "UnknownExam",
    "UnsupportedMedia",
]
