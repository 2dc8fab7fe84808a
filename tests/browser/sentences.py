"""Each sentence of the turnstile's page about the gate, with the measurement that makes it true."""

import time
from collections.abc import Callable
from typing import Any

from tests.browser.made_scenes import show

Scene = dict[str, Any]
Change = Callable[[Scene], object]


def cut(**more: object) -> Scene:
    return {"since_unix_s": time.time(), "decided": 3, "waited": None, **more}


def reports(
    waiting: int | None = 0, delivered: int = 6, received: int | None = 6, missing: int = 0
) -> Scene:
    return {
        "waiting": waiting,
        "delivered": delivered,
        "city_received": received,
        "city_missing": missing,
    }


def pull(on_disk: int | None = 2, kept: int | None = None, took_ms: int | None = None) -> Scene:
    return {"on_disk": on_disk, "kept": kept, "took_ms": took_ms}


def facts(scene: Scene, **more: object) -> None:
    scene["facts"] |= more


def restored(scene: Scene, counts: Scene, waited: int = 3) -> None:
    facts(scene, cut=cut(waited=waited))
    scene["reports"] = counts


def pulled(scene: Scene, pull: Scene, plug: str) -> None:
    facts(scene, pull=pull)
    scene["lane"] |= {"plug": plug, "up": plug != "pulled"}


def is_cut(scene: Scene, waiting: int | None = 3, decided: int = 3) -> None:
    facts(scene, cut=cut(decided=decided))
    scene["network"], scene["reports"] = "cut", reports(waiting)


def is_stopped(scene: Scene) -> None:
    pulled(scene, pull(), "pulled")
    scene["reports"] = reports(2)


def lost(
    scene: Scene, shows: str, *, knows: bool = False, plugged: bool = False, took: int | None = None
) -> None:
    facts(scene, lost={"since_unix_s": time.time(), "city_knows": knows, "took_ms": took})
    scene["reader"]["plugged"] = plugged
    show(scene, shows)


def cut_off(
    scene: Scene, followed: Scene | None, asked: bool | None = None, network: str = "up"
) -> None:
    scene["followed"]["cut_off"], scene["cut_off"]["asked"], scene["network"] = (
        followed,
        asked,
        network,
    )


def emergency(scene: Scene, *, on: bool, arms: str, walked: int = 0) -> None:
    scene["board"] |= {"emergency": on, "emergencies": 1, "arms": arms, "walked_since": walked}


def forced(scene: Scene, count: int, *, noticed: bool, pushed: str = "held") -> None:
    facts(scene, forced={"count": count, "noticed": noticed})
    scene["board"]["pushed"] = pushed


# What is measured, the test id of the sentence, and the whole sentence in English and in Turkish.
SENTENCES: list[tuple[Change, str, str, str]] = [
    # Cut the network
    (
        lambda s: is_cut(s, 0, 0),
        "network-came",
        "Cut for 0 s. Try a card.",
        "0 sn önce kesildi. Bir kart deneyin.",
    ),
    (
        is_cut,
        "network-came",
        "Cut for 0 s. 3 taps decided all the same; 3 reports wait.",
        "0 sn önce kesildi. Yine de 3 okutmada karar verdi; 3 rapor bekliyor.",
    ),
    (
        lambda s: is_cut(s, 1, 1),
        "network-came",
        "Cut for 0 s. 1 tap decided all the same; 1 report waits.",
        "0 sn önce kesildi. Yine de 1 okutmada karar verdi; 1 rapor bekliyor.",
    ),
    (
        lambda s: is_cut(s, None, 2),
        "network-came",
        "Cut for 0 s. 2 taps decided all the same; how many reports wait is not known.",
        "0 sn önce kesildi. Yine de 2 okutmada karar verdi; kaç rapor beklediği bilinmiyor.",
    ),
    # Restore it: all in the city, some on the way, some missing, counts unknown
    (
        lambda s: restored(s, reports()),
        "network-came",
        "Up again. All 3 that waited are in the city: nothing lost.",
        "Ağ geri geldi. Bekleyen 3 rapor şehirde: kayıp yok.",
    ),
    (
        lambda s: restored(s, reports(), 1),
        "network-came",
        "Up again. The one that waited is in the city: nothing lost.",
        "Ağ geri geldi. Bekleyen 1 rapor şehirde: kayıp yok.",
    ),
    (
        lambda s: restored(s, reports(), 0),
        "network-came",
        "Up again. No report had waited.",
        "Ağ geri geldi. Bekleyen rapor yoktu.",
    ),
    (
        lambda s: restored(s, reports(received=4)),
        "network-came",
        "Up again. 2 still on the way.",
        "Ağ geri geldi. 2 rapor yolda.",
    ),
    (
        lambda s: restored(s, reports(3, 3, 3)),
        "network-came",
        "Up again. 3 still on the way.",
        "Ağ geri geldi. 3 rapor yolda.",
    ),
    (
        lambda s: restored(s, reports(missing=2)),
        "network-came",
        "Up again. Missing in the city: 2!",
        "Ağ geri geldi. Şehirde 2 rapor eksik!",
    ),
    (lambda s: restored(s, reports(None)), "network-came", "Up again.", "Ağ geri geldi."),
    (lambda s: restored(s, reports(received=None)), "network-came", "Up again.", "Ağ geri geldi."),
    # Pull the plug, and put it in
    (
        lambda s: pulled(s, pull(), "pulled"),
        "plug-came",
        "Stopped. 2 reports lie on its disk.",
        "Durdu. Diskinde 2 rapor var.",
    ),
    (
        lambda s: pulled(s, pull(1), "pulled"),
        "plug-came",
        "Stopped. 1 report lies on its disk.",
        "Durdu. Diskinde 1 rapor var.",
    ),
    (
        lambda s: pulled(s, pull(None), "pulled"),
        "plug-came",
        "Stopped. Its disk cannot be read.",
        "Durdu. Diski okunamıyor.",
    ),
    (lambda s: pulled(s, pull(), "starting"), "plug-came", "Starting …", "Açılıyor …"),
    (
        lambda s: pulled(s, pull(2, 2, 1_940), "in"),
        "plug-came",
        "Back after 1.9 s. 2 reports before, none of them lost.",
        "1,9 sn sonra geri geldi. Önceki 2 raporun hiçbiri kaybolmadı.",
    ),
    (
        lambda s: pulled(s, pull(2, 1, 1_940), "in"),
        "plug-came",
        "Back after 1.9 s. Of 2 reports before, 1 lost!",
        "1,9 sn sonra geri geldi. Önceki 2 rapordan 1 tanesi kayıp!",
    ),
    (
        lambda s: pulled(s, pull(0, 0, 61_000), "in"),
        "plug-came",
        "Back after 1 min 1 s. No report was on its disk.",
        "1 dk 1 sn sonra geri geldi. Diskinde rapor yoktu.",
    ),
    (
        lambda s: pulled(s, pull(2, None, 1_940), "in"),
        "plug-came",
        "Back after 1.9 s. What was on its disk is not known.",
        "1,9 sn sonra geri geldi. Diskinde ne olduğu bilinemedi.",
    ),
    # Unplug the reader, and plug it in
    (
        lambda s: lost(s, "ready"),
        "reader-plug-came",
        "Unplugged for 0 s.",
        "0 sn süredir çıkarılmış.",
    ),
    (
        lambda s: lost(s, "out_of_service"),
        "reader-plug-came",
        "Out of service for 0 s.",
        "0 sn süredir hizmet dışı.",
    ),
    (
        lambda s: lost(s, "out_of_service", knows=True),
        "reader-plug-came",
        "Out of service for 0 s; the city knows.",
        "0 sn süredir hizmet dışı; şehir biliyor.",
    ),
    (
        lambda s: lost(s, "ready", plugged=True),
        "reader-plug-came",
        "Plugged in. The gate searches for it …",
        "Takıldı. Turnike onu arıyor …",
    ),
    (
        lambda s: lost(s, "ready", plugged=True, took=2_100),
        "reader-plug-came",
        "Back by itself, after 2.1 s.",
        "2,1 sn sonra kendiliğinden geri geldi.",
    ),
    # Move the cut-off date: asked, signed, followed; and without a network
    (
        lambda s: cut_off(s, None, asked=False),
        "cut-off-came",
        "The city is asked …",
        "Şehre soruluyor …",
    ),
    (
        lambda s: cut_off(s, {"list_version": 5, "took_ms": None}, asked=False),
        "cut-off-came",
        "List 5 is signed. The gate fetches it …",
        "5 numaralı liste imzalandı. Turnike onu alıyor …",
    ),
    (
        lambda s: cut_off(s, {"list_version": 5, "took_ms": None}, asked=False, network="cut"),
        "cut-off-came",
        "List 5 is signed. The network is cut: the gate goes on with list 4.",
        "5 numaralı liste imzalandı. Ağ kesik: turnike 4 numaralı listeyle sürdürüyor.",
    ),
    (
        lambda s: cut_off(s, {"list_version": 5, "took_ms": 1_300}),
        "cut-off-came",
        "The gate followed in 1.3 s, with list 5. Try the grey card.",
        "Turnike 1,3 sn içinde 5 numaralı listeye uydu. Gri kartı deneyin.",
    ),
    # Emergency
    (
        lambda s: emergency(s, on=True, arms="free"),
        "emergency-came",
        "The arms hang free. Push them.",
        "Kollar boşta. İtmeyi deneyin.",
    ),
    (
        lambda s: emergency(s, on=True, arms="free", walked=2),
        "emergency-came",
        "The arms hang free. 2 walked through.",
        "Kollar boşta. 2 kişi geçti.",
    ),
    (
        lambda s: emergency(s, on=True, arms="locked"),
        "emergency-came",
        "Pressed, and the arms are not free!",
        "Basıldı, ama kollar boşta değil!",
    ),
    (
        lambda s: emergency(s, on=False, arms="locked"),
        "emergency-came",
        "Locked again.",
        "Yeniden kilitlendi.",
    ),
    (
        lambda s: emergency(s, on=False, arms="free"),
        "emergency-came",
        "Released, and the arms are not locked.",
        "Düğme bırakıldı, ama kollar kilitli değil.",
    ),
    # Force
    (
        lambda s: forced(s, 1, noticed=True),
        "push-came",
        "Forced while locked (1): the gate noticed.",
        "Kilitliyken zorlandı (1): turnike fark etti.",
    ),
    (
        lambda s: forced(s, 2, noticed=False),
        "push-came",
        "Forced while locked (2): the gate has not noticed.",
        "Kilitliyken zorlandı (2): turnike fark etmedi.",
    ),
    (
        lambda s: forced(s, 1, noticed=True, pushed="through"),
        "push-came",
        "Not locked: a passenger walked through.",
        "Kilitli değildi: biri geçti.",
    ),
    # Between gate and city
    (
        lambda s: s.update(reports=reports()),
        "road-words",
        "The city has 6 of 6 reports.",
        "6 rapordan 6 tanesi şehirde.",
    ),
    (
        lambda s: s.update(reports=reports(received=4)),
        "road-words",
        "2 reports on the way.",
        "2 rapor yolda.",
    ),
    (
        lambda s: s.update(reports=reports(1, 5, 5)),
        "road-words",
        "1 report on the way.",
        "1 rapor yolda.",
    ),
    (
        lambda s: s.update(reports=reports(missing=2)),
        "road-words",
        "Missing in the city: 2!",
        "Şehirde 2 rapor eksik!",
    ),
    (lambda s: s.update(reports=reports(received=None)), "road-words", "", ""),
    (
        lambda s: is_cut(s, 2),
        "road-words",
        "The network is cut. At the gate: 2 reports.",
        "Ağ kesik. Turnikede 2 rapor bekliyor.",
    ),
    (
        is_stopped,
        "road-words",
        "The gate has stopped. On its disk: 2 reports.",
        "Turnike durdu. Diskinde 2 rapor var.",
    ),
    (
        lambda s: (s["lane"].update(up=False), s.update(reports=reports(None))),
        "road-words",
        "The gate does not report what waits.",
        "Turnike neyin beklediğini söylemiyor.",
    ),
    (
        lambda s: s["followed"].update(
            card={"name": "matched", "list_version": 7, "took_ms": 1_900}
        ),
        "followed",
        "Green card: the gate followed in 1.9 s, with list 7.",
        "Yeşil kart: turnike 1,9 sn içinde 7 numaralı listeye uydu.",
    ),
    # The list: all about this one, or its number alone
    (
        lambda s: s["list"].update(cards=9),
        "list-version",
        "List 4 fresh, 8 s old, 9 cards in its tables",
        "Liste 4 güncel, yaşı 8 sn, tablolarında 9 kart",
    ),
    (
        lambda s: s["list"].update(version=5, issued_unix_s=None, cards=None, state=None),
        "list-version",
        "List 5 ",
        "Liste 5 ",
    ),
    (
        lambda s: s["list"].update(version=None, issued_unix_s=None),
        "list-version",
        "No list ",
        "Liste yok ",
    ),
    (
        lambda s: (s["list"].update(version=None, issued_unix_s=None), s["lane"].update(up=False)),
        "list-version",
        "The gate does not answer ",
        "Turnike yanıt vermiyor ",
    ),
    # What is seen: the board's lamp, tone and arms
    (
        lambda s: show(s, "admitted"),
        "seen",
        "Green, one beep. The arms are locked.",
        "Yeşil, tek bip. Kollar kilitli.",
    ),
    (
        lambda s: s["board"].update(lamp="red blink", tone="warning", arms="released"),
        "seen",
        "Red, blinking, a warning tone. The arms are released: walk through.",
        "Yanıp sönen kırmızı, uyarı sesi. Kollar serbest: geçiniz.",
    ),
    (
        lambda s: s["board"].update(lamp="off", arms="free"),
        "seen",
        "The lamp is off. The arms hang free.",
        "Lamba kapalı. Kollar boşta.",
    ),
]
