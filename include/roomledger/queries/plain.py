"""Values of a result as JSON has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any


def plain(value: Any) -> Any:
    """Give a value as JSON has it: times are ISO 8601, bytes hexadecimal, decimals numbers, `NaN` and such text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if isfinite(value) else json.dumps(value)
        case Decimal() if value.is_finite():
            return int(value) if value == value.to_integral_value() else float(value)
        case Mapping():
            return {str(plain(key)): plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case bytes():
            return value.hex()
        case datetime():
            return value.isoformat()
    return str(value)
