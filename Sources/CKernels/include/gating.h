#pragma once
#include <stddef.h>
#include <stdint.h>

/// y = gate·σ(gate)·up
void kernels_swiglu(ptrdiff_t n, const float *gate, const float *up, float *y);
/// dgate = dy·up·silu′(gate) and dup = dy·silu(gate) in one pass.
void kernels_swiglu_gradient(
  ptrdiff_t n, const float *gate, const float *up, const float *dy, float *dgate, float *dup);

/// Whether value i of a sample survives a dropout is a function of (key, i) alone.
struct kernels_dropout_mask {
  uint64_t key;
  int32_t threshold;  // of 2^24: the share that is dropped
  float scale;        // of what survives
};

/// y (+)= mask(first + i)·x
void kernels_dropout(
  ptrdiff_t n, struct kernels_dropout_mask mask, uint32_t first, const float *x, float *y, int accumulate);
/// y = x + mask(first + i)·f
void kernels_dropout_residual(
  ptrdiff_t n, struct kernels_dropout_mask mask, uint32_t first, const float *x, const float *f, float *y);
