"""Writes the .npz files of NumPyArchiveTests, with NumPy itself: python3 make_numpy_fixtures.py (NumPy 2.x)."""
import numpy as np

arrays = {
    "arr_0": (np.arange(2 * 3 * 5 * 3) % 251).astype(np.uint8).reshape(2, 3, 5, 3),
    "mu": np.array([0.5, -1.25, 1e-300]),
    "half": np.array([[1.5, -2.0]], dtype=np.float16),
    "single": np.float32(0.1),
    "count": np.array([-7, 1 << 20], dtype=np.int64),
    "zeros": np.zeros((40, 50), dtype=np.float32),
}
np.savez("numpy-stored.npz", **arrays)
np.savez_compressed("numpy-deflated.npz", **arrays)
np.savez("numpy-objects.npz", arr_0=np.array([{"a": 1}], dtype=object))
np.savez("numpy-fortran.npz", sigma=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
np.savez("numpy-big-endian.npz", mu=np.array([1.0], dtype=">f8"))
