"""The times that exports write -> seconds since the epoch, UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_LATEST = 4_102_444_800.0
"""2100-01-01: a later 'time' is something else."""

_DATE = re.compile(
    r"(?P<year>\d{4})[-/.年](?P<month>\d{1,2})[-/.月](?P<day>\d{1,2})日?"
    r"(?:[T\s]+(?P<hour>\d{1,2})[:：时](?P<minute>\d{1,2})(?:[:：分](?P<second>\d{1,2})(?:[.,](?P<fraction>\d{1,9}))?)?[秒分]?)?"
    r"\s*(?P<zone>Z|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)


def parse_time(value: object, utc_offset_hours: float) -> float:
    """Read one time.

    Epoch seconds, milliseconds or microseconds (told apart by size), ISO 8601, and ``2024-03-05 21:04:33``,
    ``2024/3/5 21:04``, ``2024年3月5日 21:04`` with or without seconds; a date alone is its midnight.

    Args:
        value: What stood in the column.
        utc_offset_hours: Time zone of times that name none.

    Returns:
        Seconds since the epoch, UTC.

    Raises:
        ValueError: It is no time, or not between 1970 and 2100.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is no time")
    text = str(value).strip()
    if re.fullmatch(r"\d{1,19}(?:\.\d+)?", text):
        seconds = float(text)
        for _ in range(2):
            if seconds >= _LATEST:
                seconds /= 1000.0
    else:
        seconds = _parse_date(text, utc_offset_hours)
    if not 0.0 <= seconds < _LATEST:
        raise ValueError(f"{value!r} is not between 1970 and 2100")
    return seconds


def _parse_date(text: str, utc_offset_hours: float) -> float:
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time this release can read")
    part = match.groupdict()
    zone = timezone(timedelta(hours=utc_offset_hours))
    if part["zone"]:
        named = part["zone"].upper().replace(":", "")
        sign = -1 if named[0] == "-" else 1
        offset = timedelta(hours=int(named[1:3]), minutes=int(named[3:5])) if named != "Z" else timedelta()
        zone = UTC if named == "Z" else timezone(sign * offset)
    moment = datetime(
        int(part["year"]),
        int(part["month"]),
        int(part["day"]),
        int(part["hour"] or 0),
        int(part["minute"] or 0),
        int(part["second"] or 0),
        int((part["fraction"] or "0").ljust(6, "0")[:6]),
        tzinfo=zone,
    )
    return moment.timestamp()
