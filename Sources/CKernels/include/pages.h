/// Pages of memory that change their addresses.
#pragma once
#include <stddef.h>

/// Moves the pages of `byte_count` bytes to another address, whose own pages are dropped. At the old address stay
/// addresses without pages: what is read there is zero. Both are mapped private memory without a file, and whole pages.
/// @returns 0, or -1 where the system cannot do this (Linux can since 5.7); nothing has changed then.
int kernels_move_pages(void *from, size_t byte_count, void *to);
