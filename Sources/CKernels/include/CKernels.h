/// Innermost vector loops and process-level run-time pieces, as plain C.
/// Nothing here allocates per call or knows shapes beyond counts and strides.
#pragma once
#include "attention.h"
#include "blas_runtime.h"
#include "decoding.h"
#include "depthwise.h"
#include "elementwise.h"
#include "gating.h"
#include "im2col.h"
#include "normalization.h"
#include "optimizer.h"
#include "plane_product.h"
#include "pooling.h"
#include "quantization.h"
#include "rotary.h"
#include "softmax.h"
#include "thread_pool.h"
#include "winograd.h"
