"""The simulated board's display: a resting picture, and one shown in front of it for a while.

It has lamp, tone and text of each outcome. The lane decides what is shown when; board.py does
where docs/board-protocol.md gives the board a duty of its own.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from firmware_sim.board.frames import Picture

NS_PER_MS = 1_000_000
FIRST_DAY = date(2020, 1, 1)


@dataclass(frozen=True, slots=True)
class Look:
    """Lamp, tone (None is silence) and the text in Turkish and English."""

    lamp: str
    tone: str | None
    text_tr: str
    text_en: str


LOOKS = {
    Picture.READY: Look("amber", None, "Kartınızı okutunuz", "Tap your card"),
    Picture.ADMITTED: Look("green", "one beep", "İyi yolculuklar", "Have a good trip"),
    # The text without a date; `describe` has the one with a date.
    Picture.ADMITTED_WITH_NOTICE: Look(
        "green", "two beeps", "Kartınızı eşleştiriniz", "Match your card"
    ),
    Picture.DENIED: Look(
        "red", "low, broken", "Kartınız kullanıma kapalıdır", "This card cannot be used"
    ),
    Picture.TRY_AGAIN: Look(
        "red blink", "warning", "Tek kart okutunuz, tekrar deneyiniz", "One card, try again"
    ),
    Picture.UNSUPPORTED: Look(
        "red blink", "warning", "Bu kart desteklenmiyor", "Card not supported"
    ),
    Picture.OUT_OF_SERVICE: Look("off", None, "Hizmet dışı", "Out of service"),
    # No tone: the building's alarm must stay audible.
    Picture.EMERGENCY: Look(
        "green blink", None, "Acil durum: geçiş serbest", "Emergency: walk through"
    ),
}
if LOOKS.keys() != set(Picture):
    raise AssertionError("`LOOKS` has to have every Picture")


def describe(picture: Picture, hold_ms: int, days: int) -> dict[str, object]:
    """Return the details of a `show` event.

    Args:
        picture: what the display shows.
        hold_ms: for how long; 0 for a resting picture.
        days: the date in days since 2020-01-01; 0 for none.
    """
    look = LOOKS[picture]
    day = FIRST_DAY + timedelta(days) if days else None
    texts = (look.text_tr, look.text_en)
    if day is not None and picture is Picture.ADMITTED_WITH_NOTICE:
        texts = (
            f"Kartınızı {day:%d.%m.%Y} tarihine kadar eşleştiriniz",
            f"Match your card by {day:%d.%m.%Y}",
        )
    return {
        "outcome": picture.name.lower(),
        "hold_ms": hold_ms,
        "date": day.isoformat() if day else None,
        "text_tr": texts[0],
        "text_en": texts[1],
        "lamp": look.lamp,
        "tone": look.tone,
    }


class Display:
    """The picture on the display; a board without a lane shows out of service, and is never dark.

    An emergency comes first, since the arms hang free; then the lane's silence; then the picture
    that the lane has asked for.
    """

    def __init__(self, *, emergency: bool = False) -> None:
        self._asked = self._resting = Picture.OUT_OF_SERVICE
        self._silent = False
        self._emergency = emergency
        self.until_ns: int | None = None

    @property
    def shown(self) -> Picture:
        """The picture on the display now."""
        if self._emergency:
            return Picture.EMERGENCY
        return Picture.OUT_OF_SERVICE if self._silent else self._asked

    def show(self, picture: Picture, hold_ms: int, now_ns: int) -> None:
        """Show the lane's picture for `hold_ms`; with 0 it becomes the resting one.

        An emergency that is over is shown as out of service.
        """
        self._silent = False
        if picture is Picture.EMERGENCY and not self._emergency:
            picture = Picture.OUT_OF_SERVICE  # locked arms must not show "walk through"
        self._asked = picture
        self.until_ns = now_ns + hold_ms * NS_PER_MS if hold_ms else None
        if not hold_ms:
            self._resting = picture

    def interrupt(self) -> None:
        """Show that the lane is silent, and keep the resting picture."""
        self._silent = True
        self._asked = self._resting
        self.until_ns = None

    def resume(self) -> None:
        """Show the lane's picture again after its silence."""
        self._silent = False

    def switch_emergency(self, *, on: bool) -> None:
        """Follow the hardware's release; a picture shown for a while ends."""
        self._emergency = on
        if not on and self._resting is Picture.EMERGENCY:
            self._resting = Picture.OUT_OF_SERVICE  # locked arms must not show "walk through"
        self._asked = self._resting
        self.until_ns = None

    def rest(self) -> None:
        """Return to the resting picture."""
        self._asked = self._resting
        self.until_ns = None
