"""What `cmake --install` leaves is enough to build with, and exports nothing but the API."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path

import capi_library
import pytest
from conftest import ROOT, run

PAGE = ROOT / "examples" / "code.png"
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads ELF files")


def build_example(name: str, prefix: Path, folder: Path) -> Path:
    run(
        *("cmake", "-S", ROOT / "examples" / name, "-B", folder, "-G", "Ninja"),
        *(f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release"),
        "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wpedantic -Werror",
        "-DCMAKE_C_FLAGS=-Wall -Wextra -Wpedantic -Werror -std=c99",
    )
    run("cmake", "--build", folder)
    return folder


@pytest.fixture(scope="session")
def text(nano: Path) -> str:
    """What the examples should print."""
    from crispvl import CrispOCR

    return CrispOCR(nano).recognize(PAGE).text


@pytest.fixture(scope="session")
def cmake(prefix: Path) -> None:
    if not shutil.which("cmake") or not shutil.which("ninja"):
        pytest.skip("no cmake and ninja to build the examples with")


def test_c_example_reads_a_page(
    cmake: None, prefix: Path, nano: Path, text: str, tmp_path: Path
) -> None:
    folder = build_example("c", prefix, tmp_path)
    for program in ("recognize", "recognize_static"):
        read = subprocess.run([folder / program, nano, PAGE], stdout=subprocess.PIPE, text=True)
        assert read.stdout == f"{text}\n"
    missing = subprocess.run([folder / "recognize", nano, "no.png"], capture_output=True, text=True)
    assert missing.returncode == 1
    assert missing.stderr.startswith(
        "not_found: [image] expected an image file; found that 'no.png'"
    )


def test_c_example_prints_where_the_words_of_a_page_are(
    cmake: None, prefix: Path, nano: Path, tmp_path: Path
) -> None:
    from crispvl import CrispOCR

    program = build_example("c", prefix, tmp_path) / "lines"
    page = CrispOCR(nano).recognize(PAGE).pages[0]
    lines = run(program, nano, PAGE).splitlines()
    words = [line.split("\t") for line in lines if line.startswith("\t")]
    assert [text for *_, text in words] == [word.text for word in page.words]
    assert len(lines) == len(page.lines) + len(page.words)
    left, top, right, bottom = (float(x) for x in words[0][1].split())
    box = page.words[0].box
    assert box is not None
    assert (left, top, right, bottom) == pytest.approx(box, abs=0.06)


def test_cpp_example_reads_pages_in_parallel(
    cmake: None, prefix: Path, nano: Path, text: str, tmp_path: Path
) -> None:
    folder = build_example("cpp", prefix, tmp_path)
    assert run(folder / "recognize", nano, PAGE, PAGE) == f"{text}\n{text}\n"


def test_ctypes_example_reads_a_page(library_path: Path, nano: Path, text: str) -> None:
    script = ROOT / "examples" / "ctypes" / "recognize.py"
    assert run(sys.executable, script, library_path, nano, PAGE) == f"{text}\n"


def test_rust_example_reads_a_page(
    library_path: Path, nano: Path, text: str, tmp_path: Path
) -> None:
    if not shutil.which("rustc"):
        pytest.skip("no rustc")
    source, program = ROOT / "examples" / "rust" / "recognize.rs", tmp_path / "recognize"
    folder = library_path.parent
    run("rustc", "-Dwarnings", source, "-L", folder, "-l", "crispvl", "-o", program,
        "-C", f"link-arg=-Wl,-rpath,{folder}")  # fmt: skip
    assert run(program, nano, PAGE) == f"{text}\n"
    missing = subprocess.run([program, nano, "no.png"], capture_output=True, text=True)
    assert missing.returncode == 1
    assert missing.stderr.startswith("[image] expected an image file; found that 'no.png'")


STRUCTS = {
    "load_params": capi_library.LoadParams,
    "model_info": capi_library.ModelInfo,
    "image": capi_library.Image,
    "part": capi_library.Part,
    "message": capi_library.Message,
    "token": capi_library.Token,
    "recognize_params": capi_library.RecognizeParams,
    "result_info": capi_library.ResultInfo,
    "text_part": capi_library.TextPart,
}


def test_structs_lie_in_memory_as_another_language_declares_them(
    prefix: Path, tmp_path: Path
) -> None:
    """Sizes and offsets by the C compiler, and by ctypes from the fields in the header's order."""
    if not shutil.which("cc"):
        pytest.skip("no cc")
    lines, expected = [], []
    for name, struct in STRUCTS.items():
        for field, *_ in struct._fields_:
            lines.append(f"(int)offsetof(crispvl_{name}, {field})")
            expected.append(getattr(struct, field).offset)
        lines.append(f"(int)sizeof(crispvl_{name})")
        expected.append(ctypes.sizeof(struct))
    prints = "".join(f'printf("%d\\n", {line});\n' for line in lines)
    source = tmp_path / "layout.c"
    source.write_text(
        f"#include <crispvl.h>\n#include <stdio.h>\nint main(void) {{\n{prints}return 0;\n}}\n"
    )
    run("cc", "-std=c99", f"-I{prefix / 'include'}", source, "-o", tmp_path / "layout")
    found = [int(line) for line in run(tmp_path / "layout").split()]
    assert dict(zip(lines, found, strict=True)) == dict(zip(lines, expected, strict=True))
    header = (prefix / "include" / "crispvl.h").read_text()
    assert set(re.findall(r"^typedef struct crispvl_(\w+) {", header, re.MULTILINE)) == set(STRUCTS)


def test_the_headers_program_compiles_with_pkg_config(
    prefix: Path, nano: Path, text: str, tmp_path: Path
) -> None:
    if not shutil.which("pkg-config") or not shutil.which("cc"):
        pytest.skip("no pkg-config and cc")
    essay = (prefix / "include" / "crispvl.h").read_text().split("*/")[0]
    program = re.findall(r"^ \*     (.*)$", essay, re.MULTILINE)
    source = tmp_path / "page.c"
    source.write_text("\n".join(program) + "\n")
    (pc,) = prefix.glob("lib*/pkgconfig")
    query = ("env", f"PKG_CONFIG_PATH={pc}", "pkg-config", "--cflags", "--libs", "crispvl")
    flags = run(*query).split()
    strict = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
    run("cc", *strict, source, *flags, f"-Wl,-rpath,{pc.parent}", "-o", tmp_path / "page")
    assert run(tmp_path / "page", nano, PAGE) == f"{text}\n"


@pytest.mark.parametrize("language", ["-xc -std=c99", "-xc -std=c11", "-xc++ -std=c++11"])
@pytest.mark.parametrize("header", ["crispvl.h", "crispembed.h"])
def test_headers_stand_alone(header: str, language: str, prefix: Path, tmp_path: Path) -> None:
    if not shutil.which("cc"):
        pytest.skip("no cc")
    source = tmp_path / "alone.x"
    source.write_text(f"#include <{header}>\n#include <{header}>\n")
    strict = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only")
    run("cc", *language.split(), *strict, f"-I{prefix / 'include'}", source)


@linux_only
def test_only_the_api_leaves_the_library(library_path: Path, prefix: Path) -> None:
    if not shutil.which("nm") or not shutil.which("readelf"):
        pytest.skip("no binutils")
    lines = run("nm", "-D", "--defined-only", library_path).splitlines()
    exported = {line.split()[-1].split("@")[0] for line in lines}
    headers = "".join(
        (prefix / "include" / f"{h}.h").read_text() for h in ("crispvl", "crispembed")
    )
    declared = set(re.findall(r"\b((?:crispvl|crispembed)_\w+)\(", headers))
    assert exported - {"CRISPVL_1"} == declared - {"crispvl_x_free"}
    assert re.search(r"SONAME.*\[libcrispvl\.so\.1\]", run("readelf", "-d", library_path))


@linux_only
def test_another_ggml_in_the_process_is_never_called(
    library_path: Path, nano: Path, text: str, tmp_path: Path
) -> None:
    """Every ggml function is in the global scope already, and aborts when it is called."""
    if not shutil.which("cc") or not shutil.which("nm"):
        pytest.skip("no compiler")
    names = re.findall(r" [tT] (g(?:gml|guf)_\w+)$", run("nm", library_path), re.MULTILINE)
    assert len(names) > 500
    source, decoy = tmp_path / "decoy.c", tmp_path / "libdecoy.so"
    bodies = "".join(f"void {name}(void) {{ abort(); }}\n" for name in sorted(set(names)))
    source.write_text(f"#include <stdlib.h>\n{bodies}")
    run("cc", "-w", "-shared", "-fPIC", source, "-o", decoy)
    script = ROOT / "examples" / "ctypes" / "recognize.py"
    preload = ("env", f"LD_PRELOAD={decoy}")
    assert run(*preload, sys.executable, script, library_path, nano, PAGE) == f"{text}\n"


def test_llama_cpp_python_lives_in_the_same_process(
    library_path: Path, nano: Path, text: str
) -> None:
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    script = ROOT / "examples" / "ctypes" / "recognize.py"
    program = (
        "import ctypes, runpy, sys, llama_cpp\n"
        "llama_cpp.llama_backend_init()\n"
        "runpy.run_path(sys.argv[1])['main'](*sys.argv[2:])\n"
        "print(llama_cpp.llama_print_system_info().decode()[:0] + 'both')\n"
    )
    assert run(sys.executable, "-c", program, script, library_path, nano, PAGE) == f"{text}\nboth\n"


def test_crispembeds_names_read_a_page(library_path: Path, nano: Path) -> None:
    import numpy as np
    from crispvl.compat import CrispMathOcr
    from PIL import Image

    library = ctypes.CDLL(str(library_path))
    prefix = "crispembed_math_ocr_"
    for name in ("init", "recognize", "recognize_gray", "confidences", "mean_confidence"):
        restype = {"init": ctypes.c_void_p, "mean_confidence": ctypes.c_float}
        restype["confidences"] = ctypes.POINTER(ctypes.c_float)
        getattr(library, prefix + name).restype = restype.get(name, ctypes.c_char_p)
    pixels = np.array(Image.open(PAGE).convert("RGB"))
    height, width = pixels.shape[:2]
    n = ctypes.c_int()

    def read(name: str, data: np.ndarray, *channels: int) -> bytes:
        address = ctypes.c_void_p(data.ctypes.data)
        answer: bytes = getattr(library, prefix + name)(
            context, address, width, height, *channels, ctypes.byref(n)
        )
        return answer

    init = getattr(library, prefix + "init")
    context = ctypes.c_void_p(init(str(nano).encode(), 0))
    compat = CrispMathOcr(nano)
    text = compat.recognize(PAGE)
    assert read("recognize", pixels, 3).decode() == text
    assert n.value == len(text.encode())
    values = getattr(library, prefix + "confidences")(context, ctypes.byref(n))[: n.value]
    mean = getattr(library, prefix + "mean_confidence")(context)
    np.testing.assert_allclose(values, compat.confidences(), atol=1e-5)
    assert mean == pytest.approx(compat.mean_confidence, abs=1e-5)

    grey = np.asarray(Image.open(PAGE).convert("L"), np.float32) / 255
    assert read("recognize_gray", grey).decode() == compat.recognize_gray(grey)
    assert read("recognize", pixels, 2) is None
    getattr(library, prefix + "free")(context)
    assert init(b"/nowhere.gguf", 1) is None
    with pytest.raises(RuntimeError, match="Failed to load OCR model"):
        CrispMathOcr("/nowhere.gguf")
