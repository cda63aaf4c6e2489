"""Writes breast_scan.dcm from breast_scan.jpg: `python samples/make_breast_dicom.py`.

The object says what a scanner says of the exam, so that the model can be chosen from the file alone, and nothing of a
person. Its one ultrasound region is not calibrated, because the picture's scale isn't known.
"""

from pathlib import Path

import cv2
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid

FOLDER = Path(__file__).parent


def ultrasound_region(width: int, height: int) -> Dataset:
    """The whole picture as one 2D tissue region without physical units: PS3.3 section C.8.5.5."""
    region = Dataset()
    region.RegionSpatialFormat = 1
    region.RegionDataType = 1
    region.RegionFlags = 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = width - 1, height - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 0
    region.PhysicalDeltaX = region.PhysicalDeltaY = 1.0
    return region


def breast_scan() -> Dataset:
    """The sample scan as Ultrasound Image Storage, uncompressed; the same bytes on each run."""
    pixels = cv2.imread(str(FOLDER / "breast_scan.jpg"), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise SystemExit("breast_scan.jpg is missing beside this script")
    height, width = pixels.shape
    dataset = Dataset()
    dataset.SOPClassUID = UltrasoundImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["hedgerow sample", "breast_scan.dcm"])
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["hedgerow sample", "breast study"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["hedgerow sample", "breast series"])
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.Modality = "US"
    dataset.BodyPartExamined = "BREAST"
    dataset.StudyDescription = "US breast"
    dataset.PatientName = "ANONYMOUS"
    for keyword in ("PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
                    "AccessionNumber", "ReferringPhysicianName", "Manufacturer"):
        setattr(dataset, keyword, "")
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.PatientOrientation = ""
    dataset.Laterality = ""
    dataset.Rows, dataset.Columns = height, width
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.LossyImageCompression = "01"
    dataset.SequenceOfUltrasoundRegions = [ultrasound_region(width, height)]
    dataset.PixelData = pixels.tobytes().ljust(width * height + width * height % 2, b"\0")
    dataset["PixelData"].VR = "OB"
    return dataset


def main() -> None:
    """Writes the file beside this script."""
    dataset = breast_scan()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(FOLDER / "breast_scan.dcm", enforce_file_format=True)


if __name__ == "__main__":
    main()
