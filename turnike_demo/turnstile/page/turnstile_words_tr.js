// @ts-check
/** The page in Turkish. See turnstile_words.js. */

import { onTheWay, tenths } from "/static/turnstile_numbers.js";

/** @type {typeof import("/static/turnstile_words_en.js").EN} */
export const TR = {
  locale: "tr-TR",
  title: "Turnike: denemeniz için bir turnike",
  claim: "Denemeniz için bir turnike: donanımı benzetim, programları gerçek.",
  otherLanguage: "English",
  sound: (on) => (on ? "Ses açık" : "Ses kapalı"),
  connection: {
    waiting: "Bağlanıyor …",
    live: "Canlı",
    away: "Demoya ulaşılamıyor. Yeniden deneniyor …",
  },
  guide: "İlk dakika",
  steps: [
    ["Yeşil kartı okuyucuya koyun", "Sürükleyin ya da tıklayın."],
    ["Şimdi kırmızı kartı", "Ekran bunun için ne diyor?"],
    ["Ağı kesin, sonra kırmızı kart", "Turnike yine karar veriyor mu?"],
    ["Fişi çekin, geri takın", "Rapor hâlâ orada mı?"],
    ["Ağı onarın", "Rapor şehre ulaşıyor mu?"],
  ],
  seenStep: (total, isCut) => (isCut ? `${total}, ağ yokken.` : `${total}.`),
  underWay: "Yolda …",
  stepsDone: ({ delivered, city_received, city_missing }) =>
    `Beşi de görüldü. ${TR.arrived(city_received ?? 0, delivered)}` +
    (city_missing ? ` ${TR.missing(String(city_missing))}` : ""),
  lay: { matched: "Yeşil kartı koyun", suspended: "Kırmızı kartı koyun" },
  tray: "Kartlarınız",
  trayHint: "Birini okuyucuya sürükleyin ya da tıklayın.",
  cards: {
    matched: ["Yeşil kart", "sahibiyle eşleşmiş"],
    suspended: ["Kırmızı kart", "sahibiyle eşleşmiş"],
    unmatched: ["Gri kart", "kimseyle eşleşmemiş"],
    brief: ["Sarı kart", "sahibiyle eşleşmiş"],
    staff: ["Görevli kartı", "bakım için"],
    phone: ["Telefon", "hep yeni numara"],
    clash: ["İkisi birden", "yeşil ve gri"],
    "pull-early": ["Erken çekilen", "yeşil, çok erken"],
  },
  suspended: "askıda",
  endsIn: "bitmesine ",
  suspend: "Askıya al",
  asked: { suspend: "askıya alınıyor …", reinstate: "askısı kaldırılıyor …" },
  suspensions: "Belediyenin askıya aldıkları",
  suspendHint:
    "Bir karta tıklayın: askıya alınır ya da askısı kalkar. Turnikenin uymasını izleyin.",
  followed: (card, took, version) =>
    `${card}: turnike ${took} içinde ${version} numaralı listeye uydu.`,
  turnstile: "Turnike",
  seen: {
    locked: "Kollar kilitli.",
    released: "Kollar serbest: geçiniz.",
    free: "Kollar boşta.",
    lamp: {
      amber: "Sarı",
      green: "Yeşil",
      "green blink": "Yanıp sönen yeşil",
      red: "Kırmızı",
      "red blink": "Yanıp sönen kırmızı",
      off: "Lamba kapalı",
    },
    tone: {
      "one beep": "tek bip",
      "two beeps": "iki bip",
      "low, broken": "kalın ve kesik ses",
      warning: "uyarı sesi",
    },
    shows: (lamp, tone) => (tone ? `${lamp}, ${tone}.` : `${lamp}.`),
    leftEarly: "Numarasını söylemeden çekildi: turnike karar vermedi.",
  },
  outcomes: {
    admitted: "Geçti",
    admitted_with_notice: "Uyarıyla geçti",
    denied: "Geçemedi",
    try_again: "Karar yok: tekrar",
    unsupported: "Desteklenmiyor",
  },
  inside: "Bu okutmanın içi",
  insideLast: (age) => `Son okutmanın içi, ${age} önce`,
  insideBefore: (age) => `Önceki okutmanın içi, ${age} önce`,
  noTap: "Okuyucuya bir kart koyun: her adımı, süresiyle burada görünür.",
  total: (outcome, time) => `${outcome}: ${time}`,
  own: (time, isReal) =>
    `${time} kadarı turnikenin programında; radyo ve hat benzetimdir, ` +
    `${isReal ? "gerçek çip süreleriyle" : "olabildiğince hızlı"}.`,
  stages: {
    radio: "Radyo",
    wait: "Öndekini bekleme",
    decide: "Karar",
    report: "Diske rapor",
    tell: "Bildirim",
    wire: "Hat",
  },
  simulated: "benzetim",
  noStage: "yok",
  scale: "Her çizgi bir öncekinin on katıdır.",
  earlier: "Önceki okutmalar",
  p50: "yarısı",
  decided: "karar",
  told: "bildirim",
  taps: (count) => `Bu geçitte, açıldığından beri: ${count} okutma`,
  road: "Turnike ile şehir arasında",
  list: (version) => `Liste ${version}`,
  noList: "Liste yok",
  noLane: "Turnike yanıt vermiyor",
  listStates: { fresh: "güncel", stale: "eski", missing: "yok", corrupt: "bozuk" },
  listFacts: (state, age, cards) => `${state}, yaşı ${age}, tablolarında ${cards} kart`,
  waiting: "Turnikede bekleyen rapor",
  delivered: "teslim edilen",
  received: "şehre ulaşan",
  roadText: (isCut, isLaneUp, reports) => {
    if (reports.city_missing) return TR.missing(String(reports.city_missing));
    if (!isLaneUp)
      return reports.waiting === null
        ? "Turnike neyin beklediğini söylemiyor."
        : `Turnike durdu. Diskinde ${TR.reports(reports.waiting)} var.`;
    if (isCut) return `Ağ kesik. Turnikede ${TR.reports(reports.waiting ?? 0)} bekliyor.`;
    if (reports.city_received === null) return "";
    return onTheWay(reports)
      ? `${TR.reports(onTheWay(reports))} yolda.`
      : TR.arrived(reports.city_received, reports.delivered);
  },
  reports: (n) => `${n} rapor`,
  arrived: (received, delivered) => `${delivered} rapordan ${received} tanesi şehirde.`,
  missing: (n) => `Şehirde ${n} rapor eksik!`,
  promises: "Sınayın",
  show: "Göster",
  tabs: { inside: "Bu okutma", taps: "Okutmalar", city: "Şehir", promises: "Sınayın" },
  names: {
    network: "Ağ",
    plug: "Elektrik",
    reader: "Okuyucu",
    cutOff: "Son gün",
    emergency: "Acil durum",
    push: "Zorlama",
  },
  says: {
    network: "Şehre giden hattı keser. Karar verip raporlarını saklıyor mu?",
    plug: "Programlarını öldürür (SIGKILL); makine çalışır. Her rapor yerinde mi?",
    reader: "Okuyamayınca bunu söylüyor, sonra kendiliğinden devam ediyor mu?",
    cutOff: "Bu günden sonra kimseyle eşleşmemiş kartlar geçemez.",
    emergency: "Fiş çekiliyken de kollar boşa çıkıyor mu?",
    push: "Kilitli kollar direniyor mu, turnike fark ediyor mu?",
  },
  does: {
    network: (on) => (on ? "Ağı kes" : "Ağı onar"),
    plug: (on) => (on ? "Fişi çek" : "Fişi tak"),
    reader: (on) => (on ? "Okuyucuyu çıkar" : "Okuyucuyu tak"),
    cutOff: (on) => (on ? "Geleceğe al" : "Geçmişe al"),
    emergency: (on) => (on ? "Acil düğmesine bas" : "Düğmeyi bırak"),
    push: () => "Kolları it",
  },
  is: {
    network: (on) => (on ? "var" : "kesik"),
    plug: { in: "takılı", pulled: "çekili", starting: "açılıyor" },
    reader: (on) => (on ? "takılı" : "çıkarılmış"),
    cutOff: (inForce, day) => `${day}, ${inForce ? "geçti" : "gelecekte"}`,
    emergency: (on) => (on ? "basılı" : "basılı değil"),
  },
  came: {
    cut: (age, decided, waiting) =>
      `${age} önce kesildi. ${
        decided === 0
          ? "Bir kart deneyin."
          : `Yine de ${decided} okutmada karar verdi; ` +
            (waiting === null ? "kaç rapor beklediği bilinmiyor." : `${waiting} rapor bekliyor.`)
      }`,
    restored: (waited, reports) => {
      if (reports.city_missing) return `Ağ geri geldi. ${TR.missing(String(reports.city_missing))}`;
      if (reports.waiting === null || reports.city_received === null) return "Ağ geri geldi.";
      if (onTheWay(reports)) return `Ağ geri geldi. ${onTheWay(reports)} rapor yolda.`;
      return waited
        ? `Ağ geri geldi. Bekleyen ${TR.reports(waited)} şehirde: kayıp yok.`
        : "Ağ geri geldi. Bekleyen rapor yoktu.";
    },
    pulled: (onDisk) =>
      onDisk === null ? "Durdu. Diski okunamıyor." : `Durdu. Diskinde ${onDisk} rapor var.`,
    starting: "Açılıyor …",
    plugged: ({ took_ms, on_disk, kept }) => {
      const back = `${TR.took(took_ms)} sonra geri geldi.`;
      if (on_disk === null || kept === null) return `${back} Diskinde ne olduğu bilinemedi.`;
      if (on_disk === 0) return `${back} Diskinde rapor yoktu.`;
      return kept < on_disk
        ? `${back} Önceki ${on_disk} rapordan ${on_disk - kept} tanesi kayıp!`
        : `${back} Önceki ${on_disk} raporun hiçbiri kaybolmadı.`;
    },
    lost: (age, isOut, isKnown) =>
      `${age} süredir ${isOut ? "hizmet dışı" : "çıkarılmış"}${isKnown ? "; şehir biliyor" : ""}.`,
    pluggedReader: "Takıldı. Turnike onu arıyor …",
    found: (took) => `${took} sonra kendiliğinden geri geldi.`,
    asked: "Şehre soruluyor …",
    signed: (version, present, isCut) =>
      `${version} numaralı liste imzalandı. ` +
      (isCut
        ? `Ağ kesik: turnike ${present ?? "–"} numaralı listeyle sürdürüyor.`
        : "Turnike onu alıyor …"),
    moved: (took, version) =>
      `Turnike ${took} içinde ${version} numaralı listeye uydu. Gri kartı deneyin.`,
    freed: (arms, walked) =>
      arms === "free"
        ? `Kollar boşta. ${walked ? `${walked} kişi geçti.` : "İtmeyi deneyin."}`
        : "Basıldı, ama kollar boşta değil!",
    calm: (arms) =>
      arms === "locked" ? "Yeniden kilitlendi." : "Düğme bırakıldı, ama kollar kilitli değil.",
    forced: (n, noticed) =>
      `Kilitliyken zorlandı (${n}): turnike ${noticed ? "fark etti" : "fark etmedi"}.`,
    passed: "Kilitli değildi: biri geçti.",
  },
  problem: (answer) =>
    answer.refusal
      ? TR.refusals[answer.refusal]
      : answer.problem
        ? `Olmadı: ${answer.problem}`
        : TR.away,
  refusals: {
    is_so: "Zaten öyle.",
    card_lies: "O kart okuyucunun üstünde duruyor: önce kaldırın.",
    no_card: "Okuyucuda kart yok.",
    city_is_busy: "Şehir hâlâ bununla uğraşıyor. Biraz bekleyin.",
    no_list_can_name_it:
      "Telefon her seferinde başka numara gösterir: hiçbir liste onu adlandıramaz.",
  },
  away: "Demo yanıt vermiyor.",
  gone: "Demo sona erdi, ya da yanıt vermiyor.",
  goneHow: "Klasöründe başlatın; bu sayfa kendiliğinden devam eder:",
  readerKinds: {
    pn532: "Buradaki okuyucu: seri hatta bir PN532.",
    rcs380: "Buradaki okuyucu: USB baytları düzeyinde benzetilen bir Sony RC-S380.",
    pcsc: "Buradaki okuyucu: pcscd arkasında, USB baytları düzeyinde benzetilen bir PC/SC.",
  },
  honest:
    "Benzetim: okuyucunun çipi, hatlar, kontrol kartı, yolcu kartları. " +
    "Gerçek: sürücü, turnikenin programları, arka ofis. " +
    "Hepsi bu makinede çalışır; sayfa onların bildirdiğini gösterir.",
  statusPage: "Turnikenin kendi durum sayfası",
  took: (ms) =>
    ms < 60_000 ? `${tenths(ms / 1_000, TR.locale)} sn` : TR.seconds(Math.round(ms / 1_000)),
  seconds: (s) =>
    s < 60
      ? `${s} sn`
      : s < 3600
        ? `${Math.floor(s / 60)} dk ${s % 60} sn`
        : `${Math.floor(s / 3600)} sa ${Math.floor((s % 3600) / 60)} dk`,
};
