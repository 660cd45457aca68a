#pragma once
#include <stddef.h>
#include <stdint.h>

/// What a block of query rows may see. Row r sees the keys j < ends[r] with visible[r·stride + j] ≠ 0, where
/// `visible` is given. `log_sizes`, where given, is added to the logits, one per key.
struct kernels_key_view {
  const float *log_sizes;
  const uint8_t *visible;
  ptrdiff_t visible_stride;
  const int32_t *ends;
};

/// Rows of logits [rows, keys] become probabilities in place; keys that a row does not see get 0. lse[r] is the
/// log-sum-exp, 0 for a row that sees nothing.
void kernels_attention_softmax(
  ptrdiff_t rows, ptrdiff_t keys, float *scores, struct kernels_key_view view, float *lse);

/// From logits (in `scores`) and dP (in `dp`): P = exp(score − lse) into `scores`, dS = P·(dP − delta[r]) into `dp`.
void kernels_attention_softmax_gradient(
  ptrdiff_t rows, ptrdiff_t keys, float *scores, float *dp, struct kernels_key_view view, const float *lse,
  const float *delta);

/// deltas[r] = Σ_c dy[r, c]·y[r, c], rows `stride` floats apart.
void kernels_attention_deltas(
  ptrdiff_t rows, ptrdiff_t size, const float *dy, const float *y, ptrdiff_t stride, float *deltas);

/// One sample and head without matrix products: for a few queries or keys. `scratch` holds `keys` floats.
void kernels_attention_direct(
  ptrdiff_t queries, ptrdiff_t keys, ptrdiff_t size, float scale, const float *q, ptrdiff_t q_stride, const float *k,
  ptrdiff_t k_stride, const float *v, ptrdiff_t v_stride, struct kernels_key_view view, float *y, ptrdiff_t y_stride,
  float *lse, float *scratch);
/// Adds to dq, dk and dv. `scratch` holds 2·`keys` floats.
void kernels_attention_direct_gradient(
  ptrdiff_t queries, ptrdiff_t keys, ptrdiff_t size, float scale, const float *q, float *dq, ptrdiff_t q_stride,
  const float *k, float *dk, ptrdiff_t k_stride, const float *v, float *dv, ptrdiff_t v_stride,
  struct kernels_key_view view, const float *y, const float *dy, ptrdiff_t y_stride, const float *lse, float *scratch);
