"""Reads an image through the C library alone, as any language with a C interface can.

python recognize.py /usr/local/lib/libcrispvl.so MODEL.gguf page.png

In Python itself, ``pip install crispvl`` and ``CrispOCR().recognize("page.png")`` are simpler.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import byref, c_char_p, c_int, c_int32, c_size_t, c_void_p, sizeof


class LoadParams(ctypes.Structure):
    """crispvl_load_params."""

    _fields_ = (
        ("struct_size", c_size_t),
        ("path", c_char_p),
        ("mmproj", c_char_p),
        ("data", c_void_p),
        ("n_data_bytes", c_size_t),
        ("mmproj_data", c_void_p),
        ("n_mmproj_data_bytes", c_size_t),
        ("device", c_char_p),
        ("n_threads", c_int32),
        ("vocab_only", c_int32),
        ("exact", c_int32),
        ("no_mmap", c_int32),
    )


class Image(ctypes.Structure):
    """crispvl_image."""

    _fields_ = (
        ("path", c_char_p),
        ("data", c_void_p),
        ("n_bytes", c_size_t),
        ("format", c_int),
        ("width_px", c_int32),
        ("height_px", c_int32),
        ("stride_bytes", c_size_t),
    )


def main(library: str, model_path: str, image_path: str) -> int:
    crispvl = ctypes.CDLL(library)
    crispvl.crispvl_last_error.restype = c_char_p
    crispvl.crispvl_result_text.argtypes = [c_void_p]
    crispvl.crispvl_result_text.restype = c_char_p

    params = LoadParams()
    crispvl.crispvl_load_params_init(byref(params), c_size_t(sizeof(params)))
    params.path = model_path.encode()
    image = Image(path=image_path.encode())
    model, result = c_void_p(), c_void_p()
    status = crispvl.crispvl_model_load(byref(params), byref(model))
    status = status or crispvl.crispvl_recognize(model, byref(image), None, byref(result))
    if status:
        print(crispvl.crispvl_last_error().decode(), file=sys.stderr)
    else:
        print(crispvl.crispvl_result_text(result).decode())
    crispvl.crispvl_result_free(result)
    crispvl.crispvl_model_free(model)
    return int(status != 0)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
