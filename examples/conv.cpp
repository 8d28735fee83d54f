// A convolution as seven loops, for torch: cpp_conv.py builds it.

#include <ATen/Dispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

namespace {

// y[n, o, p, q] = sum over c, i, j of x[n, c, s0 p + i - p0, s1 q + j - p1] w[o, c, i, j]; all arrays are contiguous.
// A kernel is stored row by row; `by_column` reads it column by column, which is the same for one row or one column.
template <typename T>
void correlate(const at::Tensor& x, const at::Tensor& w, at::IntArrayRef stride, at::IntArrayRef padding,
               bool by_column, at::Tensor& y) {
  const int64_t C = x.size(1), H = x.size(2), W = x.size(3), KH = w.size(2), KW = w.size(3);
  const T* pixels = x.const_data_ptr<T>();
  const T* taps = w.const_data_ptr<T>();
  T* result = y.mutable_data_ptr<T>();
  for (int64_t n = 0; n < y.size(0); ++n)
    for (int64_t o = 0; o < y.size(1); ++o)
      for (int64_t p = 0; p < y.size(2); ++p)
        for (int64_t q = 0; q < y.size(3); ++q) {
          T total = 0;
          for (int64_t c = 0; c < C; ++c)
            for (int64_t i = 0; i < KH; ++i)
              for (int64_t j = 0; j < KW; ++j) {
                const int64_t row = p * stride[0] + i - padding[0], column = q * stride[1] + j - padding[1];
                if (row < 0 || row >= H || column < 0 || column >= W) continue;
                const int64_t tap = by_column ? j * KH + i : i * KW + j;
                total += pixels[((n * C + c) * H + row) * W + column] * taps[(o * C + c) * KH * KW + tap];
              }
          *result++ = total;
        }
}

at::Tensor conv2d(const at::Tensor& x, const at::Tensor& w, at::IntArrayRef stride, at::IntArrayRef padding,
                  bool by_column) {
  TORCH_CHECK(x.dim() == 4 && w.dim() == 4 && x.size(1) == w.size(1) && x.dtype() == w.dtype(),
              "no convolution of ", x.sizes(), " with ", w.sizes());
  int64_t size[2];
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t room = x.size(2 + axis) + 2 * padding[axis] - w.size(2 + axis);
    TORCH_CHECK(stride[axis] > 0 && padding[axis] >= 0 && room >= 0, "no output along axis ", axis);
    size[axis] = room / stride[axis] + 1;
  }
  at::Tensor y = at::empty({x.size(0), w.size(0), size[0], size[1]}, x.options());
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "conv2d", [&] {
    correlate<scalar_t>(x.contiguous(), w.contiguous(), stride, padding, by_column, y);
  });
  return y;
}

}  // namespace

TORCH_LIBRARY(convcheck_example, library) {
  library.def("conv2d(Tensor x, Tensor w, int[2] stride, int[2] padding, bool by_column) -> Tensor", &conv2d);
}
