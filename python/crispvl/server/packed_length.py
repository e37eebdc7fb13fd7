"""How long data becomes that is packed in ways for which qpdf has no bound."""

from __future__ import annotations

_CLEAR, _END, _FIRST, _MOST = 256, 257, 258, 4096
_END_OF_RUNS = 128


def run_length(data: bytes, most: int) -> int:
    """Returns how many bytes runs stand for (PDF 2.0, 7.4.5), or some number beyond ``most``.

    The mark of their end ends nothing here, as qpdf goes on behind it.
    """
    i = total = 0
    while i < len(data) and total <= most:
        if data[i] < _END_OF_RUNS:
            total += data[i] + 1
            i += data[i] + 2
        elif data[i] == _END_OF_RUNS:
            i += 1
        else:
            total += 257 - data[i]
            i += 2
    return total


def lzw_length(data: bytes, most: int) -> int:
    """Returns how many bytes LZW data stands for (PDF 2.0, 7.4.4), or some number beyond ``most``.

    Codes become wider at two places, by the stream's ``EarlyChange``; the longer reading counts.
    """
    return max(_length(data, most, early) for early in (0, 1))


def _length(data: bytes, most: int, early: int) -> int:
    lengths: list[int] = []  # of the entries from the first that is not a byte's
    last = total = 0
    held = n_held = 0  # bits
    for byte in data:
        held, n_held = (held << 8 | byte) & 0xFFFFF, n_held + 8
        n_bits = min(12, max(9, (_FIRST + len(lengths) + early).bit_length()))
        if n_held < n_bits:
            continue
        n_held -= n_bits
        code = held >> n_held & (1 << n_bits) - 1
        if code == _END or total > most:
            break
        if code == _CLEAR:
            lengths, last = [], 0
            continue
        i = code - _FIRST
        length = 1 if i < 0 else lengths[i] if i < len(lengths) else last + 1
        total += length
        if last and _FIRST + len(lengths) < _MOST:
            lengths.append(last + 1)
        last = length
    return total
