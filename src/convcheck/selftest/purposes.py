"""Why a law stays in the book that finds no planted fault which no other law finds."""

from __future__ import annotations

__all__ = ["PURPOSES"]

#: by law, in one phrase: what it tells that the laws that find the same do not
PURPOSES: dict[str, str] = {
    "output-size": "diagnosis: the size alone is wrong; cheapest, so it comes first",
    "accumulator": "diagnosis: the sums' precision alone; sees by cancellation what bounds on sums allow",
    "agrees-with-scipy": "witness: an implementation that shares no line with the oracle",
    "agrees-with-torch": "witness: an implementation that shares no line with the oracle",
    "impulse-response": "certificate: proves a bilinear engine right for a shape",
    "small-scope": "certificate: exhausts the small shapes, no sample",
    "weights-shared": "certificate: the dense weight is a Toeplitz matrix, position by position",
    "additive-in-input": "oracle-free: linear in x; tells clipping and saturation from wrong indices",
    "additive-in-weight": "oracle-free: linear in w; tells caches of the weight from wrong indices",
    "homogeneous": "oracle-free: tells what depends on magnitude",
    "power-of-two-scales": "oracle-free: bit for bit on floats, where bounds leave room",
    "negates": "oracle-free: bit for bit on floats, where bounds leave room",
    "shift-kernel": "diagnosis: copies of x by hand, bit for bit on floats",
    "commutes": "oracle-free: no reference is asked, x and w exchange their parts",
    "associates": "oracle-free: results are operands of the next call",
    "mass": "oracle-free: one number that can be checked by hand",
    "convolution-theorem": "witness: by another transform than sums",
    "flip-relates": "witness: scipy's convolution; tells convolution from correlation",
    "mirrors": "diagnosis: one end treated unlike the other",
    "axes-permute": "diagnosis: one axis treated unlike another",
    "translation-equivariant": "diagnosis: one position treated unlike another",
    "channels-permute": "diagnosis: one channel treated unlike another",
    "filters-permute": "diagnosis: one filter treated unlike another",
    "batch-permutes": "diagnosis: one image treated unlike another",
    "stride-subsamples": "diagnosis: the stride alone",
    "dilation-zero-stuffs": "diagnosis: the dilation alone",
    "padding-is-explicit": "diagnosis: the padding alone",
    "groups-split": "diagnosis: the groups alone; operands are views of larger ones",
    "channels-sum": "diagnosis: the sum over channels alone",
    "filters-stack": "diagnosis: filters that disturb each other",
    "batch-stacks": "diagnosis: images that disturb each other",
    "bias-adds": "diagnosis: the bias alone",
    "pointwise-is-matmul": "diagnosis: the fast path of unit kernels; judged by a matrix product",
    "full-kernel-is-dense": "diagnosis: the fast path of whole kernels; judged by dot products",
    "rank-embeds": "diagnosis: code for one number of axes unlike that for another",
    "local": "diagnosis: what lies outside the receptive field is read",
    "stateless": "diagnosis: whatever a call leaves behind for the next",
    "deterministic": "diagnosis: chance, bit for bit on floats",
    "inputs-untouched": "diagnosis: operands or the memory around them written to",
    "survives": "speed: the place where crashes and hangs are reported",
}
