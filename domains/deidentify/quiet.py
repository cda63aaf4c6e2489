"""Keeps libraries from repeating what a file says in warnings and logs."""

import logging
import warnings


def silence() -> None:
    """Set again for each file, since others put filters back; see domains/media/dicom/dataset.py."""
    warnings.filterwarnings("ignore", module=r"(pydicom|PIL|domains\.deidentify)(\.|$)")
    for name in ("pydicom", "PIL"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
