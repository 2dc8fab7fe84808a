// @ts-check
/** The status page in Turkish; see status_words_en.js. */

/** @typedef {typeof import("/static/status_words_en.js").EN} Words */

/** @type {Words} */
export const TR = {
  locale: "tr-TR",
  otherLanguage: "English",
  connection: {
    waiting: "Bağlanıyor …",
    live: "Canlı",
    away: "Konsola ulaşılamıyor. Yeniden deneniyor …",
  },
  well: (lanes) =>
    lanes === 1
      ? "Bu turnike iyi çalışıyor."
      : `Bu turnike, ${lanes} geçidiyle birlikte iyi çalışıyor.`,
  unwell: (faults) => (faults === 1 ? "Bir sorun var." : `${faults} sorun var.`),
  notKnown: "Bilinmiyor: konsol yanıt vermiyor. Aşağıdaki, son söylediğidir.",
  lane: (number) => `Geçit ${number}`,
  faults: {
    away: [
      "Geçit çalışmıyor:",
      "systemctl status turnike-lane@N, sonra turnike check. Konsol denemeyi sürdürür.",
    ],
    reader: [
      "Okuyucu yok: geçit hizmet dışı.",
      "Kablosuna ve beslemesine bakın. Geçit kendiliğinden denemeyi sürdürür.",
    ],
    board: [
      "Kontrol kartı yok: geçit hizmet dışı.",
      "Kablosuna ve beslemesine bakın. Geçit kendiliğinden denemeyi sürdürür.",
    ],
    missing: [
      "Kullanılabilir liste yok: list.missing ne diyorsa, ya herkes geçer ya hiç kimse.",
      "turnike check listenin mi, anahtarın mı, diskin mi eksik olduğunu söyler.",
    ],
    stale: [
      "Listenin süresi dolmuş.",
      "Turnike günlerdir şehirden haber almıyor ya da şehir yayımlamıyor. " +
        "turnike courier'in günlüğü hangisi olduğunu söyler.",
    ],
    corrupt: [
      "Daha yeni bir liste var ama kullanılamıyor; bir önceki karar veriyor.",
      "turnike check nedenini söyler.",
    ],
    list: ["Listenin durumu bilinmiyor:", "turnike check daha fazlasını söyler."],
    problems: ["Listenin dosyalarında bir sorun var:", "Ne yapılacağını turnike check söyler."],
    refused: [
      "Bazı raporlar saklanamadı ve kayboldu: @N.",
      "Disk dolu ya da bozuluyor: turnike check.",
    ],
    rejected: [
      "Şehir bazı raporları almadı; kenara kondular: @N.",
      "turnike reports show; turnikenin ve alıcının sürümleri.",
    ],
    trouble: ["Raporlar şu an saklanamıyor:", "turnike check; geçit her saniye yeniden dener."],
    uncounted: ["Kaç raporun beklediği bilinmiyor: disk okunamıyor.", "turnike check."],
    waiting: [
      "Çok sayıda rapor şehre gitmeyi bekliyor: @N.",
      "Bir kesintiden sonra birkaç dakika olağandır. " +
        "Sürerse nedenini turnike courier'in günlüğü söyler.",
    ],
    upload: ["Raporlar şehre ulaşmıyor:", "O zamana kadar turnikede beklerler: docs/reports.md."],
    courier: [
      "Kurye liste getiremiyor:",
      "Ne yapılacağını turnike check söyler. Turnike elindeki listeyle sürüyor.",
    ],
    unheard: [
      "Kurye açılıştan beri bir şey söylemedi: durumu bilinmiyor.",
      "systemctl status turnike-courier.",
    ],
    quiet: [
      "Kurye @N boyunca şehre sormadı.",
      "Durmuş ya da büyük bir liste indiriyor: systemctl status turnike-courier.",
    ],
    untold: [
      "Kuryenin çalışıp çalışmadığı buradan bilinemiyor.",
      "list.recent bellekteki bir klasörü göstermiyor ya da bir saat yanlıştı: turnike check.",
    ],
    disk: [
      "Diskte neredeyse hiç yer kalmadı.",
      "Günlükler ve eski paketler. Ayrılan yere gelinince raporlar reddedilir.",
    ],
    disk_unknown: ["Diskte ne kadar yer olduğu bilinmiyor.", "Disk yanıt vermiyor: turnike check."],
    clock: [
      "Saat eşitlenmemiş.",
      "timedatectl. Bu arada askıya almalar geç biter, asla erken bitmez.",
    ],
    tamper: [
      "Turnikenin kapağı açık.",
      "Üzerinde çalışan yoksa: docs/runbook.md, çalınmış turnike.",
    ],
    emergency: [
      "Kollar acil durum için boşta: gelen geçer.",
      "Düğme bırakılınca yeniden kilitlenir.",
    ],
    forced: [
      "Kilitli kollar çevrildi; geçidin açılışından beri: @N.",
      "Biri kartsız geçiyor ya da bir kol kilitlenmiyor. On beş dakika boyunca söylenir.",
    ],
  },
  facts: {
    reader: "Okuyucu",
    board: "Kontrol kartı",
    list: "Liste",
    clock: "Saat",
    reports: "Raporlar",
    disk: "Disk",
    courier: "Kurye",
    emergency: "Acil durum",
    housing: "Kapak",
    forced: "Zorlama",
    run: "Çalışıyor",
  },
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
  list: (version, state, age, cards, left) =>
    `sürüm ${version}, ${state}; yaşı ${age}, ${cards} kart, ${left} daha geçerli`,
  listOver: (version, age, ago) => `sürüm ${version}, yaşı ${age}, süresi ${ago} önce doldu`,
  states: {
    fresh: "güncel",
    stale: "süresi dolmuş",
    missing: "yok",
    corrupt: "bozuk olandan önceki",
  },
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
  chart: (p50, p99) =>
    `Kart okunmasından bildirime. Son dilimde yarısı ${p50}, yüzde 99'u ${p99} içinde.`,
  emptyChart: "Bu konsol henüz okutma görmedi.",
  now: "şimdi",
  since: (span) => `${span} önce`,
  figures: "Geçidin açılışından beri",
  rows: {
    decided_us: "kart okundu → karar",
    filed_us: "rapor → diskte",
    told_us: "kart okundu → bildirim",
  },
  max: "en uzun",
  taps: "Son okutmalar. Belirteç geçidin yalnız bu çalışması içindir, kart numarası değildir.",
  token: "Belirteç",
  outcome: "Gösterilen",
  decided: "Karar",
  told: "Bildirim",
  ago: "Önce",
  outcomes: {
    admitted: "geçti",
    admitted_with_notice: "uyarıyla geçti",
    denied: "geçemedi",
    try_again: "tekrar",
    unsupported: "desteklenmiyor",
    out_of_service: "hizmet dışı",
  },
  versions: (version) =>
    `turnike console ${version}. Bu sayfa yalnızca gösterir; hiçbir şeyi değiştirmez, ` +
    "başka makineye sormaz.",
  units: { d: "gün", h: "sa", min: "dk", s: "sn" },
};
