"""Types of the compiled parts. A machine integer is either Python's or numpy's: inside numba they are the same."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Table = NDArray[np.int32]
Integers = NDArray[np.int64]
Integer: TypeAlias = "int | np.integer[Any]"
