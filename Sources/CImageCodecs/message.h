#pragma once

#include "CImageCodecs.h"

#include <stdio.h>

/// Stores the reason for a failure and returns false.
static inline bool codec_fail(char *message, const char *reason) {
  if (message) snprintf(message, CODEC_MESSAGE_SIZE, "%s", reason);
  return false;
}
