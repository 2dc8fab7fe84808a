"""What the passenger sees and hears on the simulated board: a resting picture, and one shown for a while in front of it.

It says lamp, tone and text for each outcome, date written out. It does not decide what is shown when; the lane does, and
board.py where the page gives the board a duty of its own.
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
    # Without a date; with one it is written out by `describe`.
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
    # No tone: the building's alarm has to be heard.
    Picture.EMERGENCY: Look(
        "green blink", None, "Acil durum: geçiş serbest", "Emergency: walk through"
    ),
}
if LOOKS.keys() != set(Picture):
    raise AssertionError("every picture has a look")


def describe(picture: Picture, hold_ms: int, days: int) -> dict[str, object]:
    """A picture as the details of a `show` event. `days` count from 2020-01-01; 0 is no date."""
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
    """The picture on the display. Dark is not a state: a board without a lane shows out of service.

    An emergency comes before everything, since the arms hang free; then the lane's silence; then what the lane has asked for.
    """

    def __init__(self, *, emergency: bool = False) -> None:
        self._asked = self._resting = Picture.OUT_OF_SERVICE
        self._silent = False
        self._emergency = emergency
        self.until_ns: int | None = None

    @property
    def shown(self) -> Picture:
        """What stands there now."""
        if self._emergency:
            return Picture.EMERGENCY
        return Picture.OUT_OF_SERVICE if self._silent else self._asked

    def show(self, picture: Picture, hold_ms: int, now_ns: int) -> None:
        """The lane's wish: a picture for `hold_ms`, or for good with 0. An emergency that is over is not shown any more."""
        self._silent = False
        if picture is Picture.EMERGENCY and not self._emergency:
            picture = Picture.OUT_OF_SERVICE  # "walk through" must not stand at locked arms
        self._asked = picture
        self.until_ns = now_ns + hold_ms * NS_PER_MS if hold_ms else None
        if not hold_ms:
            self._resting = picture

    def interrupt(self) -> None:
        """The lane is silent; what it wants to rest on is kept."""
        self._silent = True
        self._asked = self._resting
        self.until_ns = None

    def resume(self) -> None:
        """The lane speaks again."""
        self._silent = False

    def switch_emergency(self, *, on: bool) -> None:
        """The hardware's release. What the lane showed a passenger before it is over."""
        self._emergency = on
        if not on and self._resting is Picture.EMERGENCY:
            self._resting = Picture.OUT_OF_SERVICE  # "walk through" must not stand at locked arms
        self._asked = self._resting
        self.until_ns = None

    def rest(self) -> None:
        """Back to the resting picture."""
        self._asked = self._resting
        self.until_ns = None
