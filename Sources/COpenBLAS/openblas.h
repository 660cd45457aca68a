#include <cblas.h>
#include <stddef.h>

/// LAPACK, which OpenBLAS contains: eigenvalues, ascending, and on demand eigenvectors of a symmetric matrix by divide and
/// conquer. The last two arguments are the lengths of the texts, as Fortran passes them.
void dsyevd_(
  const char *job, const char *triangle, const blasint *n, double *a, const blasint *row_stride, double *eigenvalues,
  double *work, const blasint *work_count, blasint *integer_work, const blasint *integer_work_count, blasint *info,
  size_t job_length, size_t triangle_length);
