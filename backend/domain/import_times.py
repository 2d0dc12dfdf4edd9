"""Times as other programs write them: Jira, Zammad, Rails, Excel, mail headers, ISO 8601 in its many forms."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from backend.domain.import_words import is_none
from backend.domain.text import clean_line
from backend.domain.values import Instant, instant_of

DMY, MDY = "dmy", "mdy"
_EXCEL_BEGINS = datetime(1899, 12, 30)  # in the table's zone
_is_epoch = re.compile(r"([0-9]{9,10})([0-9]{3})?(?:[.,][0-9]{1,9})?").fullmatch
# Twelve digits could be milliseconds, too: of the seventies, in which no table's tickets are.
_is_compact = re.compile(
    r"(?P<year>19[7-9][0-9]|20[0-9]{2})(?P<monthly>0[1-9]|1[0-2])(?P<day>0[1-9]|[12][0-9]|3[01])"
    r"(?P<hour>[01][0-9]|2[0-3])(?:(?P<minute>[0-5][0-9])(?P<second>[0-5][0-9])?)?(?:[.,](?P<fraction>[0-9]{1,9}))?"
    r"(?P<half>)(?P<zone>Z)?(?P<offset>[+-][0-9]{4})?"
).fullmatch
_is_serial = re.compile(r"[2-7][0-9]{4}(?:[.,][0-9]{1,12})?").fullmatch
_is_zero = re.compile(r"0|0{4}-00-00(?:[ T]00:00(?::00(?:\.0+)?)?)?Z?|00[./-]00[./-]0000(?: 00:00(?::00)?)?").fullmatch

_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th|\.|º|er)?"
_YEAR = r"(?P<year>[0-9]{4}|'?[0-9]{2})"
_MONTH = r"(?P<month>[^\W\d_]{3,10})\.?"
_GAP = r"[\s,/.\-]{1,3}"
_CLOCK = (
    r"(?P<hour>[0-9]{1,2})[:.h](?P<minute>[0-9]{2})"
    r"(?:[:.](?P<second>[0-9]{2})(?:[.,:](?P<fraction>[0-9]{1,9}))?)?(?:\s*(?P<half>[ap])\.?\s?m\b\.?)?(?:\s*Uhr\b)?"
)
_TIME = (
    rf"(?:[\sT,]*(?:\b(?:at|um|à|a las|alle)\s+)?{_CLOCK}"
    r"(?:\s*\(?(?P<zone>Z\b|[A-Z]{2,5}\b)?\)?\s*(?P<offset>[+\-\u2212][0-9]{1,2}(?::?[0-9]{2})?)?"
    r"(?:\s*[\[(][^\])]{1,60}[\])])?)?)?"
)
_DATES = (
    r"(?P<year>[0-9]{4})[-/.\u5e74](?P<monthly>[0-9]{1,2})[-/.\u6708](?P<day>[0-9]{1,2})\u65e5?",
    r"(?P<first>[0-9]{1,2})(?P<mark>[/.\-])(?P<other>[0-9]{1,2})(?P=mark)(?P<year>[0-9]{4}|[0-9]{2})",
    rf"{_DAY}{_GAP}(?:de\s+)?{_MONTH}{_GAP}(?:de\s+)?{_YEAR}",
    rf"{_MONTH}{_GAP}{_DAY}{_GAP}{_YEAR}",
)
_UNIX = (  # as `date` writes it
    rf"(?:[^\W\d_]{{2,12}}\s+)?{_MONTH}\s+{_DAY}\s+{_CLOCK}(?:\s+(?P<zone>[A-Z]{{2,5}})?(?P<offset>[+-][0-9]{{4}})?)?"
    r"\s+(?P<year>[0-9]{4})"
)
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (*(rf"(?:[^\W\d_]{{2,12}}\.?,?\s+)?{date}{_TIME}" for date in _DATES), _UNIX)
)
_MONTHS: Mapping[str, int] = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janvier enero ene gennaio gen janeiro januari janv jän jänner",
            "feb february februar fevrier febrero febbraio fevereiro februari fev fevr",
            "mar march märz mär mrz mars marzo março maart mrt",
            "apr april avril avr abril abr aprile",
            "may mai mayo maggio mag maio mei",
            "jun june juni juin junio giugno giu junho",
            "jul july juli juillet juil julio luglio lug julho",
            "aug august aout août agosto ago augustus",
            "sep sept september septembre septiembre settembre set setembro",
            "oct october oktober okt octobre octubre ottobre ott outubro out",
            "nov november novembre noviembre novembro",
            "dec december dezember dez decembre diciembre dic dicembre dezembro",
        ),
        start=1,
    )
    for name in names.split()
}
_HOURS_AHEAD: Mapping[str, float] = {
    "Z": 0, "UTC": 0, "GMT": 0, "UT": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "MEZ": 1, "CEST": 2, "MESZ": 2,
    "EET": 2, "EEST": 3, "MSK": 3, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8,
    "PDT": -7, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11,
}  # fmt: skip
_NARROW = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}
_EITHER = re.compile(r"\D{0,14}([0-9]{1,2})([/\-])([0-9]{1,2})\2(?:[0-9]{4}|[0-9]{2})(?![0-9])").match


def order_shown(text: str) -> str | None:
    """The order of day and month that a time like 13/04/2026 shows; `""` where it could be either; None for others."""
    found = _EITHER(_clean(text))
    if not found:
        return None
    first, other = int(found[1]), int(found[3])
    if first == other or (first > 12 and other > 12):
        return None
    if first > 12 or other > 12:
        return MDY if other > 12 else DMY
    return ""


class OrderFinder:
    """Told the times of a table one by one, it knows their order, or that it has to be asked."""

    def __init__(self) -> None:
        self._shown: set[str] = set()
        self.either: str | None = None

    def take(self, texts: Iterable[str]) -> None:
        """The times of one row."""
        for text in texts:
            shown = order_shown(text)
            if shown:
                self._shown.add(shown)
            elif shown == "" and self.either is None:
                self.either = text.strip()[:50]

    @property
    def order(self) -> str | None:
        """`dmy` or `mdy`, as the rows have it; None where none tells, or they contradict each other."""
        return next(iter(self._shown)) if len(self._shown) == 1 else None

    @property
    def question(self) -> str | None:
        """What somebody has to say; None where all is clear."""
        if self.either is None or self.order:
            return None
        why = "both orders are in the table" if self._shown else "no row of the table tells"
        return f"{self.either} may begin with the day or the month, and {why}: say date_order=dmy or date_order=mdy"


def read_time(text: str, order: str | None, zone: ZoneInfo, at: Instant) -> Instant | None:
    """The time in a cell, None where it says there is none. `order` decides 03/04/2026. Raises ValueError."""
    text = _clean(text)
    if is_none(text) or _is_zero(text):
        return None
    try:
        moment = _moment(text, order)
        # By its own calendar: where clocks are ahead of UTC, the first of January 1970 began in 1969.
        found = instant_of(moment if moment.tzinfo else moment.replace(tzinfo=zone)) if moment.year >= 1970 else ""
    except OverflowError:
        found = ""
    if not "1969-12-31" <= found <= at:
        raise ValueError("must lie between 1970 and now")
    return found


def _clean(text: str) -> str:
    """A cell without what is not seen, full width as usual width."""
    return clean_line(text[:1_000]).translate(_NARROW)


def _moment(text: str, order: str | None) -> datetime:
    compact = _is_compact(text)
    if compact:
        return _read(compact.groupdict(), order)
    epoch = _is_epoch(text)
    if epoch:
        return datetime.fromtimestamp(int(epoch[1]), UTC)
    if _is_serial(text):
        seconds = round(float(text.replace(",", ".")) * 86_400)
        return _EXCEL_BEGINS + timedelta(seconds=seconds)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in _FORMS if len(text) <= 120 else ():
        found = form.fullmatch(text)
        if found:
            return _read(found.groupdict(), order)
    raise ValueError("must be a time such as 2026-11-25T09:30:00Z, 25.11.2026 09:30 or 25/Nov/26 9:30 AM")


def _read(parts: Mapping[str, str | None], order: str | None) -> datetime:
    year = int((parts["year"] or "").lstrip("'"))
    if year < 100:
        year += 1900 if year >= 70 else 2000
    month, day = _month_and_day(parts, order)
    hour = int(parts["hour"] or 0)
    half = (parts["half"] or "").lower()
    if half and hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    fraction = int((parts["fraction"] or "0")[:6].ljust(6, "0"))
    try:
        return datetime(
            year, month, day, hour, int(parts["minute"] or 0), int(parts["second"] or 0), fraction, _offset(parts)
        )
    except ValueError:
        raise ValueError("is no day or time that exists") from None


def _month_and_day(parts: Mapping[str, str | None], order: str | None) -> tuple[int, int]:
    named = parts.get("month")
    if named:
        month = _MONTHS.get(named.casefold()) or _MONTHS.get(_bare(named))
        if month is None:
            raise ValueError(f"names no month that is known here: {named}")
        return month, int(parts["day"] or 0)
    if "first" not in parts:
        return int(parts["monthly"] or 0), int(parts["day"] or 0)
    first, other = int(parts["first"] or 0), int(parts["other"] or 0)
    if parts["mark"] == "." or first == other:
        return other, first
    if (first > 12) != (other > 12):  # it tells by itself
        return (other, first) if first > 12 else (first, other)
    if order is None:
        raise ValueError("may begin with the day or the month: say date_order=dmy or date_order=mdy")
    return (other, first) if order == DMY else (first, other)


def _bare(word: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", word.casefold()) if not unicodedata.combining(c))


def _offset(parts: Mapping[str, str | None]) -> tzinfo | None:
    named, offset = (parts["zone"] or "").upper(), parts["offset"]
    if named and named not in _HOURS_AHEAD:
        raise ValueError(f"names no time zone that is known here: {named}")
    if offset:
        digits = re.sub(r"\D", "", offset)
        hours, minutes = (int(digits[:-2]), int(digits[-2:])) if len(digits) > 2 else (int(digits), 0)
        away = timedelta(hours=hours, minutes=minutes)
        if away >= timedelta(hours=24):
            raise ValueError("has no time zone that exists")
        return timezone(away if offset[0] == "+" else -away)
    return timezone(timedelta(hours=_HOURS_AHEAD[named])) if named else None
