// @ts-check
/**
 * Every word of the status page, in Turkish and English, and how it writes durations, sizes and
 * numbers. Nothing here knows the page.
 */

/** @typedef {"tr" | "en"} Language */

const EN = {
  locale: "en-GB",
  otherLanguage: "Türkçe",
  connection: { waiting: "Connecting …", live: "Live", away: "The console does not answer. Trying again …" },
  well: (/** @type {number} */ lanes) => (lanes === 1 ? "This gate is well." : `This gate is well, all ${lanes} lanes of it.`),
  unwell: (/** @type {number} */ faults) => (faults === 1 ? "Something is wrong here." : `${faults} things are wrong here.`),
  notKnown: "Unknown: the console does not answer. Below is its last answer.",
  lane: (/** @type {number | string} */ number) => `Lane ${number}`,
  faults: {
    away: ["The lane is not running:", "Run systemctl status turnike-lane@N, then turnike check. The console keeps trying."],
    reader: ["The reader is lost: the lane is out of service.", "Check its cable and power. The lane keeps trying by itself."],
    board: ["The turnstile's board is lost: the lane is out of service.", "Check its cable and power. The lane keeps trying by itself."],
    missing: ["There is no usable list: everyone is admitted or no one, by list.missing.", "Run turnike check: it names what is missing, list, key or disk."],
    stale: ["The list has expired.", "The gate has reached no city for days, or the city publishes nothing. The log of turnike courier has the reason."],
    corrupt: ["A newer list is here and cannot be used; the previous one decides.", "Run turnike check for the reason."],
    list: ["The state of the list is unknown:", "Run turnike check."],
    problems: ["A file of the list is damaged or missing:", "Run turnike check for what to do."],
    refused: ["Reports could not be kept, and are lost: @N.", "The disk is full or failing: run turnike check."],
    rejected: ["The city rejected some reports; they are quarantined: @N.", "Run turnike reports show; compare the versions of gate and receiver."],
    trouble: ["Reports cannot be kept now:", "Run turnike check. The lane tries again each second."],
    uncounted: ["How many reports wait is unknown: the disk cannot be read.", "Run turnike check."],
    waiting: ["Many reports wait for the city: @N.", "Normal for some minutes after an outage. Else the log of turnike courier has the reason."],
    upload: ["Reports do not reach the city:", "They wait on the gate until then: docs/reports.md."],
    courier: ["The courier cannot bring lists:", "Run turnike check for what to do. The gate decides by the list it has."],
    unheard: ["The courier has reported nothing since the boot: its status is unknown.", "Run systemctl status turnike-courier."],
    quiet: ["The courier has not asked the city for @N.", "It has stopped, or downloads a large list: run systemctl status turnike-courier."],
    untold: ["Whether the courier runs is unknown here.", "list.recent names no memory-backed folder, or a clock was wrong: run turnike check."],
    disk: ["There is hardly any room left on the disk.", "Remove logs and old packages. Reports are refused once only the reserve is left."],
    disk_unknown: ["The free room on the disk is unknown.", "The disk does not answer: run turnike check."],
    clock: ["The clock is not synchronised.", "Run timedatectl. Suspensions end late meanwhile, never early."],
    tamper: ["The turnstile's housing is open.", "If no technician works on it: docs/runbook.md, a stolen gate."],
    emergency: ["The arms are released for an emergency: anyone can walk through.", "They lock again when the button is released."],
    forced: ["Locked arms were turned; times since the lane's start: @N.", "A person passes without a card, or an arm does not lock. Shown for a quarter of an hour."],
  },
  facts: { reader: "Reader", board: "Board", list: "List", clock: "Clock", reports: "Reports", disk: "Disk", courier: "Courier", emergency: "Emergency", housing: "Housing", forced: "Forced", run: "Running" },
  ready: "ready",
  lost: "lost",
  unknown: "no report yet",
  unknownCount: "unknown number",
  unknownDisk: "unknown: it does not answer",
  unknownCourier: "unknown: it has reported nothing here",
  noCourier: "none: lists are installed by hand",
  courierStates: {
    fresh: "up to date",
    unreachable: "the city cannot be reached",
    "not ours": "another server answers",
    "tls refused": "the city's certificate is not trusted",
    "proxy refused": "the proxy refuses",
    busy: "the city is busy",
    slow: "the line is too slow",
    frozen: "what the city published has expired",
    replayed: "an older list was offered",
    refused: "a download is not the city's",
    "no fingerprint key": "a key is missing",
    disk: "the disk takes nothing",
  },
  open: "open",
  closed: "closed",
  courier: (/** @type {string} */ state, /** @type {string} */ ago) => `${state}, asked the city ${ago} ago`,
  list: (/** @type {string} */ version, /** @type {string} */ state, /** @type {string} */ age, /** @type {string} */ cards, /** @type {string} */ left) =>
    `version ${version}, ${state}; ${age} old, ${cards} cards, good for ${left} more`,
  listOver: (/** @type {string} */ version, /** @type {string} */ age, /** @type {string} */ ago) => `version ${version}, ${age} old, expired ${ago} ago`,
  states: { fresh: "fresh", stale: "expired", missing: "none", corrupt: "the previous one, as a newer one is damaged" },
  noList: "none",
  synchronised: "synchronised",
  notSynchronised: "not synchronised: counted from the newest signed time",
  reports: (/** @type {string} */ waiting, /** @type {string} */ delivered) => `${waiting} waiting, ${delivered} delivered since the start`,
  lostReports: (/** @type {string} */ n) => `, ${n} lost`,
  rejectedReports: (/** @type {string} */ n) => `, ${n} quarantined`,
  free: (/** @type {string} */ size) => `${size} free`,
  on: "on: the arms are free",
  off: "off",
  forced: (/** @type {string} */ n) => `locked arms turned, times since the start: ${n}`,
  neverForced: "never",
  running: (/** @type {string} */ time, /** @type {string} */ version) => `for ${time}, version ${version}`,
  counts: (/** @type {string} */ taps, /** @type {string} */ admitted, /** @type {string} */ denied) => `${taps} taps, ${admitted} admitted, ${denied} denied`,
  factsOf: "State",
  day: (/** @type {string} */ span) => `How long passengers waited, the last ${span}`,
  chart: (/** @type {string} */ p50, /** @type {string} */ p99) => `Card read until told. In the last slot half within ${p50}, 99 of 100 within ${p99}.`,
  emptyChart: "This console has seen no tap yet.",
  now: "now",
  since: (/** @type {string} */ span) => `${span} ago`,
  figures: "Since the lane's start",
  rows: { decided_us: "card read → decided", filed_us: "report → on the disk", told_us: "card read → told" },
  max: "longest",
  taps: "Last taps. A token is for this run of the lane only; it is no card's number.",
  token: "Token",
  outcome: "Shown",
  decided: "Decided",
  told: "Told",
  ago: "Ago",
  outcomes: { admitted: "admitted", admitted_with_notice: "admitted, with notice", denied: "denied", try_again: "try again", unsupported: "unsupported", out_of_service: "out of service" },
  versions: (/** @type {string} */ version) => `turnike console ${version}. This page only shows; it changes nothing and asks no other machine.`,
  units: { d: "d", h: "h", min: "min", s: "s" },
};

/** @type {typeof EN} */
const TR = {
  locale: "tr-TR",
  otherLanguage: "English",
  connection: { waiting: "Bağlanıyor …", live: "Canlı", away: "Konsola ulaşılamıyor. Yeniden deneniyor …" },
  well: (lanes) => (lanes === 1 ? "Bu turnike iyi çalışıyor." : `Bu turnike, ${lanes} geçidiyle birlikte iyi çalışıyor.`),
  unwell: (faults) => (faults === 1 ? "Bir sorun var." : `${faults} sorun var.`),
  notKnown: "Bilinmiyor: konsol yanıt vermiyor. Aşağıdaki, son söylediğidir.",
  lane: (number) => `Geçit ${number}`,
  faults: {
    away: ["Geçit çalışmıyor:", "systemctl status turnike-lane@N, sonra turnike check. Konsol denemeyi sürdürür."],
    reader: ["Okuyucu yok: geçit hizmet dışı.", "Kablosuna ve beslemesine bakın. Geçit kendiliğinden denemeyi sürdürür."],
    board: ["Kontrol kartı yok: geçit hizmet dışı.", "Kablosuna ve beslemesine bakın. Geçit kendiliğinden denemeyi sürdürür."],
    missing: ["Kullanılabilir liste yok: list.missing ne diyorsa, ya herkes geçer ya hiç kimse.", "turnike check listenin mi, anahtarın mı, diskin mi eksik olduğunu söyler."],
    stale: ["Listenin süresi dolmuş.", "Turnike günlerdir şehirden haber almıyor ya da şehir yayımlamıyor. turnike courier'in günlüğü hangisi olduğunu söyler."],
    corrupt: ["Daha yeni bir liste var ama kullanılamıyor; bir önceki karar veriyor.", "turnike check nedenini söyler."],
    list: ["Listenin durumu bilinmiyor:", "turnike check daha fazlasını söyler."],
    problems: ["Listenin dosyalarında bir sorun var:", "Ne yapılacağını turnike check söyler."],
    refused: ["Bazı raporlar saklanamadı ve kayboldu: @N.", "Disk dolu ya da bozuluyor: turnike check."],
    rejected: ["Şehir bazı raporları almadı; kenara kondular: @N.", "turnike reports show; turnikenin ve alıcının sürümleri."],
    trouble: ["Raporlar şu an saklanamıyor:", "turnike check; geçit her saniye yeniden dener."],
    uncounted: ["Kaç raporun beklediği bilinmiyor: disk okunamıyor.", "turnike check."],
    waiting: ["Çok sayıda rapor şehre gitmeyi bekliyor: @N.", "Bir kesintiden sonra birkaç dakika olağandır. Sürerse nedenini turnike courier'in günlüğü söyler."],
    upload: ["Raporlar şehre ulaşmıyor:", "O zamana kadar turnikede beklerler: docs/reports.md."],
    courier: ["Kurye liste getiremiyor:", "Ne yapılacağını turnike check söyler. Turnike elindeki listeyle sürüyor."],
    unheard: ["Kurye açılıştan beri bir şey söylemedi: durumu bilinmiyor.", "systemctl status turnike-courier."],
    quiet: ["Kurye @N boyunca şehre sormadı.", "Durmuş ya da büyük bir liste indiriyor: systemctl status turnike-courier."],
    untold: ["Kuryenin çalışıp çalışmadığı buradan bilinemiyor.", "list.recent bellekteki bir klasörü göstermiyor ya da bir saat yanlıştı: turnike check."],
    disk: ["Diskte neredeyse hiç yer kalmadı.", "Günlükler ve eski paketler. Ayrılan yere gelinince raporlar reddedilir."],
    disk_unknown: ["Diskte ne kadar yer olduğu bilinmiyor.", "Disk yanıt vermiyor: turnike check."],
    clock: ["Saat eşitlenmemiş.", "timedatectl. Bu arada askıya almalar geç biter, asla erken bitmez."],
    tamper: ["Turnikenin kapağı açık.", "Üzerinde çalışan yoksa: docs/runbook.md, çalınmış turnike."],
    emergency: ["Kollar acil durum için boşta: gelen geçer.", "Düğme bırakılınca yeniden kilitlenir."],
    forced: ["Kilitli kollar çevrildi; geçidin açılışından beri: @N.", "Biri kartsız geçiyor ya da bir kol kilitlenmiyor. On beş dakika boyunca söylenir."],
  },
  facts: { reader: "Okuyucu", board: "Kontrol kartı", list: "Liste", clock: "Saat", reports: "Raporlar", disk: "Disk", courier: "Kurye", emergency: "Acil durum", housing: "Kapak", forced: "Zorlama", run: "Çalışıyor" },
  ready: "hazır",
  lost: "yok",
  unknown: "henüz duyulmadı",
  unknownCount: "bilinmeyen sayıda",
  unknownDisk: "bilinmiyor: yanıt vermiyor",
  unknownCourier: "bilinmiyor: burada bir şey söylemedi",
  noCourier: "yok: listeler elle gelir",
  courierStates: {
    fresh: "güncel",
    unreachable: "şehre yol yok",
    "not ours": "başka bir sunucu yanıt veriyor",
    "tls refused": "şehrin sertifikasına güvenilmiyor",
    "proxy refused": "vekil sunucu geçirmiyor",
    busy: "şehir meşgul",
    slow: "hat çok yavaş",
    frozen: "şehrin yayımladığının süresi dolmuş",
    replayed: "daha eski bir liste sunuldu",
    refused: "gelen şehrin değil",
    "no fingerprint key": "bir anahtar eksik",
    disk: "disk hiçbir şey almıyor",
  },
  open: "açık",
  closed: "kapalı",
  courier: (state, ago) => `${state}, şehre ${ago} önce sordu`,
  list: (version, state, age, cards, left) => `sürüm ${version}, ${state}; yaşı ${age}, ${cards} kart, ${left} daha geçerli`,
  listOver: (version, age, ago) => `sürüm ${version}, yaşı ${age}, süresi ${ago} önce doldu`,
  states: { fresh: "güncel", stale: "süresi dolmuş", missing: "yok", corrupt: "bozuk olandan önceki" },
  noList: "yok",
  synchronised: "eşitlenmiş",
  notSynchronised: "eşitlenmemiş: en yeni imzalı zamandan sayılıyor",
  reports: (waiting, delivered) => `${waiting} bekliyor, açılıştan beri ${delivered} teslim edildi`,
  lostReports: (n) => `, ${n} kayıp`,
  rejectedReports: (n) => `, ${n} kenarda`,
  free: (size) => `${size} boş`,
  on: "açık: kollar boşta",
  off: "kapalı",
  forced: (n) => `kilitli kol açılıştan beri ${n} kez çevrildi`,
  neverForced: "hiç",
  running: (time, version) => `${time}, sürüm ${version}`,
  counts: (taps, admitted, denied) => `${taps} okutma, ${admitted} geçti, ${denied} geçemedi`,
  factsOf: "Bunun dayandıkları",
  day: (span) => `Yolcular ne kadar bekledi, son ${span}`,
  chart: (p50, p99) => `Kart okunmasından bildirime. Son dilimde yarısı ${p50}, yüzde 99'u ${p99} içinde.`,
  emptyChart: "Bu konsol henüz okutma görmedi.",
  now: "şimdi",
  since: (span) => `${span} önce`,
  figures: "Geçidin açılışından beri",
  rows: { decided_us: "kart okundu → karar", filed_us: "rapor → diskte", told_us: "kart okundu → bildirim" },
  max: "en uzun",
  taps: "Son okutmalar. Belirteç geçidin yalnız bu çalışması içindir, kart numarası değildir.",
  token: "Belirteç",
  outcome: "Gösterilen",
  decided: "Karar",
  told: "Bildirim",
  ago: "Önce",
  outcomes: { admitted: "geçti", admitted_with_notice: "uyarıyla geçti", denied: "geçemedi", try_again: "tekrar", unsupported: "desteklenmiyor", out_of_service: "hizmet dışı" },
  versions: (version) => `turnike console ${version}. Bu sayfa yalnızca gösterir; hiçbir şeyi değiştirmez, başka makineye sormaz.`,
  units: { d: "gün", h: "sa", min: "dk", s: "sn" },
};

/** @typedef {typeof EN} Words */

/** @type {Record<Language, Words>} */
export const WORDS = { en: EN, tr: TR };

/** A duration in µs: 940 µs, 8.7 ms, 1.2 s. @param {number} us @param {Words} words */
export function duration(us, words) {
  const [value, unit] = us < 1_000 ? [us, "µs"] : us < 1_000_000 ? [us / 1_000, "ms"] : [us / 1_000_000, words.units.s];
  const digits = unit !== "µs" && value < 100 ? 1 : 0;
  return `${value.toLocaleString(words.locale, { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${unit}`;
}

/** A time in seconds: 42 s, 3 min 7 s, 2 h 5 min, 4 d 3 h. @param {number} s @param {Words} words */
export function time(s, words) {
  const { d, h, min, s: sec } = words.units;
  const whole = Math.max(Math.round(s), 0);
  if (whole < 60) return `${whole} ${sec}`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} ${min} ${whole % 60} ${sec}`;
  if (whole < 86_400) return `${Math.floor(whole / 3_600)} ${h} ${Math.floor((whole % 3_600) / 60)} ${min}`;
  return `${Math.floor(whole / 86_400)} ${d} ${Math.floor((whole % 86_400) / 3_600)} ${h}`;
}

/** @param {number} bytes @param {Words} words */
export function size(bytes, words) {
  const gib = bytes / 2 ** 30;
  const [value, unit] = gib >= 1 ? [gib, "GiB"] : [bytes / 2 ** 20, "MiB"];
  return `${value.toLocaleString(words.locale, { maximumFractionDigits: 1 })} ${unit}`;
}

/** @param {number} n @param {Words} words */
export function count(n, words) {
  return n.toLocaleString(words.locale);
}
