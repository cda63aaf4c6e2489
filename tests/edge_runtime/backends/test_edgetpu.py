"""An Edge TPU that can't be used says why and what helps, and harms nobody: the real interpreter, a library without a chip."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.backends import edgetpu
from edge_runtime.backends import probe as probe_module
from edge_runtime.backends.edgetpu import EdgeTpuBackend, google_pycoral
from edge_runtime.backends.explain import explain
from edge_runtime.backends.probe import Outcome, probe
from edge_runtime.errors import DeviceFault, FaultKind, PackageError
from tests.edge_runtime.backends.compiled_model import compiled_model
from tests.edge_runtime.backends.fake_edgetpu import attach_pci, attach_usb, backend_with, fake_library

Says = Callable[[str], None]
LIBRARY = "libedgetpu.so.1"
REFUSED = Outcome("library", "ValueError", f"Failed to load delegate from {LIBRARY}", runtime="ai-edge-litert 2.3.0")


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Says:
    """Has the library do one of its bad things from now on."""
    return lambda what: monkeypatch.setenv("FAKE_EDGETPU", what)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "tiny" / "int8_edgetpu.tflite"
    file.parent.mkdir()
    file.write_bytes(compiled_model())
    return file


@pytest.fixture
def backend(tmp_path: Path) -> type[EdgeTpuBackend]:
    attach_usb(tmp_path)
    return backend_with(fake_library(), tmp_path)


def fault_of(action: Callable[[], object]) -> DeviceFault:
    with pytest.raises(DeviceFault) as raised:
        action()
    return raised.value


def test_a_compiled_model_runs_on_the_device(backend: type[EdgeTpuBackend], model: Path) -> None:
    opened = backend("usb:0")
    assert opened.describe() == "Edge TPU (USB, port 2-1)"
    pixels = np.arange(48, dtype=np.int8).reshape(1, 4, 4, 3)
    (answer,) = opened.open(model).invoke(pixels)
    assert answer.view(np.uint8).tolist() == [[pixels.sum() % 256 + place for place in range(3)]]


def test_without_a_device_it_says_so(says: Says, tmp_path: Path) -> None:
    says("absent")
    fault = fault_of(lambda: backend_with(fake_library(), tmp_path)("usb"))
    assert fault.kind is FaultKind.ABSENT
    assert "the Edge TPU usb is not attached" in str(fault)


def test_a_device_that_another_program_holds_is_not_called_absent(backend: type[EdgeTpuBackend], says: Says) -> None:
    says("absent")
    fault = fault_of(backend)
    assert fault.kind is FaultKind.LOST
    assert "is attached (/dev/bus/usb/002/007), but can't be opened" in str(fault)


def test_without_the_library_it_names_the_package_to_install(tmp_path: Path) -> None:
    fault = fault_of(lambda: backend_with("libedgetpu-of-nowhere.so.1", tmp_path)())
    assert fault.kind is FaultKind.LIBRARY_MISSING
    assert "libedgetpu-of-nowhere.so.1 is not installed: install the Debian package libedgetpu1-std" in str(fault)


def test_a_library_that_is_no_delegate_is_unfit(tmp_path: Path) -> None:
    fault = fault_of(lambda: backend_with("libm.so.6", tmp_path)())
    assert fault.kind is FaultKind.LIBRARY_UNFIT
    assert "undefined symbol: tflite_plugin_create_delegate" in str(fault)


def test_a_library_that_kills_its_process_at_the_first_model_kills_only_the_probe(
    backend: type[EdgeTpuBackend], model: Path, says: Says
) -> None:
    opened = backend()
    says("unfit")
    fault = fault_of(lambda: opened.open(model))
    assert fault.kind is FaultKind.LIBRARY_UNFIT
    assert "ended its process (SIGSEGV) when it was given a model" in str(fault)
    assert "newer ones need a rebuilt library" in str(fault)


def test_a_library_that_aborts_over_a_usb_transfer_means_a_lost_device(backend: type[EdgeTpuBackend], says: Says) -> None:
    says("abort")
    fault = fault_of(backend)
    assert fault.kind is FaultKind.LOST
    assert "USB transfer error 5" in str(fault)


def test_a_device_that_does_not_answer_is_given_up(
    backend: type[EdgeTpuBackend], says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    says("hang")
    assert probe_module.LIMIT_S * 2 < 60, "two probes fit into the time that a worker has to start"
    monkeypatch.setattr(edgetpu, "probe", lambda *words: probe(*words, limit_s=3.0))
    fault = fault_of(backend)
    assert fault.kind is FaultKind.HUNG
    assert "did not answer when it was loaded" in str(fault)


def test_a_library_that_leaves_its_operation_to_the_cpu_is_unfit(
    backend: type[EdgeTpuBackend], model: Path, says: Says
) -> None:
    says("ignores")
    fault = fault_of(lambda: backend().open(model))
    assert fault.kind is FaultKind.LIBRARY_UNFIT
    assert "unresolved custom op: edgetpu-custom-op" in str(fault)


def test_a_device_that_goes_away_under_a_run_is_lost(backend: type[EdgeTpuBackend], model: Path, says: Says) -> None:
    session = backend().open(model)
    says("unplugged")
    fault = fault_of(lambda: session.invoke(np.zeros((1, 4, 4, 3), np.int8)))
    assert fault.kind is FaultKind.LOST
    assert "USB transfer error 2" in str(fault)
    says("nothing")
    assert session.invoke(np.zeros((1, 4, 4, 3), np.int8))


def test_a_model_that_was_not_compiled_never_passes_for_one_on_the_tpu(backend: type[EdgeTpuBackend], tmp_path: Path) -> None:
    file = tmp_path / "plain" / "int8.tflite"
    file.parent.mkdir()
    file.write_bytes(compiled_model(operation="another-op"))
    with pytest.raises(PackageError, match=r"plain: int8\.tflite is not compiled for the Edge TPU"):
        backend().open(file)


@pytest.mark.parametrize(("outcome", "kind", "words"), [
    (Outcome("library", "OSError", "libusb-1.0.so.0: cannot open shared object file: No such file or directory"),
     FaultKind.LIBRARY_MISSING, "libusb-1.0.so.0, which libedgetpu.so.1 needs, is not installed"),
    (Outcome("library", "OSError", "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by libedgetpu.so.1)"),
     FaultKind.LIBRARY_UNFIT, "GLIBC_2.38"),
    (Outcome("run", "RuntimeError", "Encountered an unresolved custom op. Did you miss a custom op or delegate?", runtime="r 1"),
     FaultKind.LIBRARY_UNFIT, "does not work with r 1"),
    (Outcome("model", "RuntimeError", "Internal: Unsupported data type in custom op handler: 0Node number 1 "
             "(EdgeTpuDelegateForCustomOp) failed to prepare.", runtime="r 1"),
     FaultKind.LIBRARY_UNFIT, "docs/install-coral.md says which versions go together"),
    (Outcome("model", signal=11, runtime="ai-edge-litert 2.3.0"), FaultKind.LIBRARY_UNFIT, "does not fit ai-edge-litert 2.3.0"),
    (Outcome("run", "RuntimeError", "failed to invoke."), FaultKind.LOST, "unplugged, reset, or short of power"),
    (REFUSED, FaultKind.ABSENT, "is not attached"),
])
def test_each_failure_that_users_reported_is_told_with_what_helps(
    outcome: Outcome, kind: FaultKind, words: str, tmp_path: Path
) -> None:
    fault = explain(outcome, LIBRARY, "usb", tmp_path)
    assert fault.kind is kind
    assert words in str(fault)


def test_a_module_whose_driver_is_missing_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    attach_pci(tmp_path, None)
    fault = explain(REFUSED, LIBRARY, "pci:0", tmp_path)
    assert fault.kind is FaultKind.ABSENT
    assert "is on the PCIe bus (0000:02:00.0) without a driver: install gasket-dkms" in str(fault)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs an account that may do less than this one")
def test_without_permission_it_names_the_udev_rule() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        attach_usb(root).chmod(0o600)
        script = ("from pathlib import Path\nfrom edge_runtime.backends.explain import explain\n"
                  "from edge_runtime.backends.probe import Outcome\n"
                  f"fault = explain(Outcome('library', 'ValueError', 'Failed to load delegate from x'), 'x', 'usb', Path({folder!r}))\n"
                  "print(fault.kind, fault)")
        words = "import os\nos.setgid(65534)\nos.setuid(65534)\n"
        told = subprocess.run([sys.executable, "-c", f"import edge_runtime.backends.explain\n{words}{script}"],
                              check=True, capture_output=True, text=True).stdout
    assert told.startswith("no_permission this account may not open /dev/bus/usb/002/007")
    assert "/etc/udev/rules.d/99-hedgerow-edgetpu.rules" in told


@pytest.mark.parametrize(("reading", "celsius"), [
    ("45300", 45.3), ("-10200", -10.2), ("-89700", None), ("-87900", None), ("166050", None), ("", None), ("n/a", None),
])
def test_sentinels_of_the_driver_are_no_temperatures(reading: str, celsius: float | None, tmp_path: Path) -> None:
    attach_pci(tmp_path, temperature=reading)
    assert backend_with(fake_library(), tmp_path)("pci:0").temperature_c() == celsius


def test_a_usb_accelerator_has_no_temperature(backend: type[EdgeTpuBackend]) -> None:
    assert backend().temperature_c() is None


def test_the_other_package_named_pycoral_is_not_imported_and_the_log_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "pycoral").mkdir()
    (tmp_path / "pycoral/__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert google_pycoral() is None
    assert "is not Google's" in caplog.text


def test_googles_pycoral_is_used_where_it_is_installed(
    backend: type[EdgeTpuBackend], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site" / "pycoral" / "utils"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "__init__.py").touch()
    (folder / "edgetpu.py").write_text(
        "from edge_runtime.backends.tflite import Interpreter, load_delegate\n"
        "def make_interpreter(model_path_or_content, device=None, delegate=None):\n"
        f"    made = Interpreter(model_path_or_content, experimental_delegates=[load_delegate({backend.library!r})])\n"
        "    made.made_by = f'pycoral for {device}'\n    return made\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    made = edgetpu.make_interpreter(LIBRARY, "usb:1", model)
    assert made.made_by == "pycoral for usb:1"


def test_a_pycoral_that_cannot_be_imported_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "pycoral" / "utils"
    folder.mkdir(parents=True)
    (folder / "edgetpu.py").write_text("raise ImportError('built for another Python')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "pycoral"]:
        monkeypatch.delitem(sys.modules, name)
    assert google_pycoral() is None
    assert "built for another Python" in caplog.text
