// jpeglib.h needs the declarations of stdio.h and does not include it.
#include <stdio.h>

#include <jpeglib.h>

#ifndef LIBJPEG_TURBO_VERSION
#error "this jpeglib.h is not libjpeg-turbo's, whose crops of scanlines are needed"
#endif
