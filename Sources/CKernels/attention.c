#include "attention.h"

#include "row_reductions.h"

ALWAYS_INLINE int sees_nothing(ptrdiff_t n, const uint8_t *visible) {
  if (!visible) return n == 0;
  for (ptrdiff_t j = 0; j < n; j++)
    if (visible[j]) return 0;
  return 1;
}

/// One row of logits to probabilities; returns the log-sum-exp.
ALWAYS_INLINE float softmax_row(
  ptrdiff_t n, float *restrict s, const float *restrict log_sizes, const uint8_t *restrict visible) {
#pragma clang fp reassociate(on)
  if (log_sizes)
    for (ptrdiff_t j = 0; j < n; j++) s[j] += log_sizes[j];
  if (visible)
    for (ptrdiff_t j = 0; j < n; j++) s[j] = visible[j] ? s[j] : -FLT_MAX;
  float largest = row_maximum(n, s), sum = 0;
  // Logits that are all NaN have no largest either; they must stay NaN for the step to be refused.
  if (largest == -FLT_MAX && sees_nothing(n, visible)) {
    for (ptrdiff_t j = 0; j < n; j++) s[j] = 0;
    return 0;
  }
  if (visible)
    for (ptrdiff_t j = 0; j < n; j++) {
      float e = vector_exp(s[j] - largest);
      s[j] = visible[j] ? e : 0;
      sum += s[j];
    }
  else
    for (ptrdiff_t j = 0; j < n; j++) {
      s[j] = vector_exp(s[j] - largest);
      sum += s[j];
    }
  float inverse = 1.0f / sum;
  for (ptrdiff_t j = 0; j < n; j++) s[j] *= inverse;
  return largest + logf(sum);
}

/// One row of logits to probabilities with a known log-sum-exp, and of dP to dS.
ALWAYS_INLINE void softmax_row_gradient(
  ptrdiff_t n, float *restrict s, float *restrict dp, const float *restrict log_sizes, const uint8_t *restrict visible,
  float lse, float delta) {
  if (log_sizes)
    for (ptrdiff_t j = 0; j < n; j++) s[j] += log_sizes[j];
  if (visible)
    for (ptrdiff_t j = 0; j < n; j++) {
      float p = vector_exp(s[j] - lse);
      s[j] = visible[j] ? p : 0;
      dp[j] = s[j] * (dp[j] - delta);
    }
  else
    for (ptrdiff_t j = 0; j < n; j++) {
      s[j] = vector_exp(s[j] - lse);
      dp[j] = s[j] * (dp[j] - delta);
    }
}

VECTOR_CLONES void kernels_attention_softmax(
  ptrdiff_t rows, ptrdiff_t keys, float *restrict scores, struct kernels_key_view view, float *restrict lse) {
  for (ptrdiff_t r = 0; r < rows; r++) {
    float *s = scores + r * keys;
    ptrdiff_t n = view.ends[r];
    lse[r] = softmax_row(n, s, view.log_sizes, view.visible ? view.visible + r * view.visible_stride : NULL);
    for (ptrdiff_t j = n; j < keys; j++) s[j] = 0;
  }
}

VECTOR_CLONES void kernels_attention_softmax_gradient(
  ptrdiff_t rows, ptrdiff_t keys, float *restrict scores, float *restrict dp, struct kernels_key_view view,
  const float *restrict lse, const float *restrict delta) {
  for (ptrdiff_t r = 0; r < rows; r++) {
    float *s = scores + r * keys, *d = dp + r * keys;
    ptrdiff_t n = view.ends[r];
    softmax_row_gradient(
      n, s, d, view.log_sizes, view.visible ? view.visible + r * view.visible_stride : NULL, lse[r], delta[r]);
    for (ptrdiff_t j = n; j < keys; j++) s[j] = d[j] = 0;
  }
}

ALWAYS_INLINE float row_dot(ptrdiff_t n, const float *restrict a, const float *restrict b) {
#pragma clang fp reassociate(on)
  float sum = 0;
  for (ptrdiff_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

ALWAYS_INLINE void add_scaled(ptrdiff_t n, float factor, const float *restrict x, float *restrict y) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] += factor * x[i];
}

VECTOR_CLONES void kernels_attention_deltas(
  ptrdiff_t rows, ptrdiff_t size, const float *restrict dy, const float *restrict y, ptrdiff_t stride,
  float *restrict deltas) {
  for (ptrdiff_t r = 0; r < rows; r++) deltas[r] = row_dot(size, dy + r * stride, y + r * stride);
}

VECTOR_CLONES void kernels_attention_direct(
  ptrdiff_t queries, ptrdiff_t keys, ptrdiff_t size, float scale, const float *restrict q, ptrdiff_t q_stride,
  const float *restrict k, ptrdiff_t k_stride, const float *restrict v, ptrdiff_t v_stride,
  struct kernels_key_view view, float *restrict y, ptrdiff_t y_stride, float *restrict lse, float *restrict scratch) {
  for (ptrdiff_t i = 0; i < queries; i++) {
    ptrdiff_t n = view.ends[i] < keys ? view.ends[i] : keys;
    float *out = y + i * y_stride;
    for (ptrdiff_t j = 0; j < n; j++) scratch[j] = scale * row_dot(size, q + i * q_stride, k + j * k_stride);
    lse[i] = softmax_row(n, scratch, view.log_sizes, view.visible ? view.visible + i * view.visible_stride : NULL);
    for (ptrdiff_t c = 0; c < size; c++) out[c] = 0;
    for (ptrdiff_t j = 0; j < n; j++) add_scaled(size, scratch[j], v + j * v_stride, out);
  }
}

VECTOR_CLONES void kernels_attention_direct_gradient(
  ptrdiff_t queries, ptrdiff_t keys, ptrdiff_t size, float scale, const float *restrict q, float *restrict dq,
  ptrdiff_t q_stride, const float *restrict k, float *restrict dk, ptrdiff_t k_stride, const float *restrict v,
  float *restrict dv, ptrdiff_t v_stride, struct kernels_key_view view, const float *restrict y,
  const float *restrict dy, ptrdiff_t y_stride, const float *restrict lse, float *restrict scratch) {
  float *p = scratch, *ds = scratch + keys;
  for (ptrdiff_t i = 0; i < queries; i++) {
    ptrdiff_t n = view.ends[i] < keys ? view.ends[i] : keys;
    const float *qi = q + i * q_stride, *dyi = dy + i * y_stride;
    for (ptrdiff_t j = 0; j < n; j++) {
      p[j] = scale * row_dot(size, qi, k + j * k_stride);
      ds[j] = row_dot(size, dyi, v + j * v_stride);
    }
    softmax_row_gradient(
      n, p, ds, view.log_sizes, view.visible ? view.visible + i * view.visible_stride : NULL, lse[i],
      row_dot(size, dyi, y + i * y_stride));
    for (ptrdiff_t j = 0; j < n; j++) {
      add_scaled(size, p[j], dyi, dv + j * v_stride);
      add_scaled(size, scale * ds[j], qi, dk + j * k_stride);
      add_scaled(size, scale * ds[j], k + j * k_stride, dq + i * q_stride);
    }
  }
}
