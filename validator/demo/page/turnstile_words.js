// @ts-check
/**
 * Every word of the page, in Turkish and English, and how it writes numbers. Nothing here knows the page: words are strings, or functions of numbers.
 *
 * What the turnstile's display says is the same on a real gate (see LOOKS in firmware_sim/board_display.py): both languages, and never a reason.
 */

/** @typedef {"tr" | "en"} Language */

/** Why a verb was not done: a refusal by its name (Refusal in visitor.py), or a fault told to programmers. @typedef {{ refusal?: keyof typeof EN.refusals, problem?: string }} Answer */

/** What stands on the display, by what the board shows. A notice has a date. */
export const DISPLAY = {
  ready: { tr: "Kartınızı okutunuz", en: "Tap your card" },
  admitted: { tr: "İyi yolculuklar", en: "Have a good trip" },
  admitted_with_notice: { tr: "Kartınızı eşleştiriniz", en: "Match your card" },
  denied: { tr: "Kartınız kullanıma kapalıdır", en: "This card cannot be used" },
  try_again: { tr: "Tek kart okutunuz, tekrar deneyiniz", en: "One card, try again" },
  unsupported: { tr: "Bu kart desteklenmiyor", en: "Card not supported" },
  out_of_service: { tr: "Hizmet dışı", en: "Out of service" },
  emergency: { tr: "Acil durum: geçiş serbest", en: "Emergency: walk through" },
};

/** @param {string} date as 2027-01-15 */
export function noticeBy(date) {
  const day = date.split("-").reverse().join(".");
  return { tr: `Kartınızı ${day} tarihine kadar eşleştiriniz`, en: `Match your card by ${day}` };
}

const EN = {
  locale: "en-GB",
  title: "Turnike: a turnstile to play with",
  claim: "A turnstile that decides by itself, in microseconds, with or without a network.",
  otherLanguage: "Türkçe",
  sound: (/** @type {boolean} */ on) => (on ? "Sound on" : "Sound off"),
  connection: { waiting: "Connecting …", live: "Live", away: "The demo is away. Trying again …" },
  guide: "The first minute",
  steps: [
    ["Lay the green card on the reader", "Drag it there, or click it."],
    ["Now the red card", "It is refused. The display never says why."],
    ["Cut the network, and try the red card again", "The gate still decides. Its report waits."],
    ["Pull the plug, and put it back in", "The report was on the disk before the lamp turned red."],
    ["Mend the network", "The report reaches the city. Nothing was lost."],
  ],
  stepsDone: "Seen: admitted, refused, without a network, without power, and nothing lost.",
  tray: "Your cards",
  trayHint: "Drag one onto the reader, or click it.",
  cards: {
    matched: ["Green card", "matched with its owner"],
    suspended: ["Red card", "suspended by the city"],
    unmatched: ["Grey card", "matched with nobody"],
    brief: ["Amber card", "suspended for a minute"],
    staff: ["Staff card", "opens for maintenance"],
    phone: ["Phone", "another number each time"],
    clash: ["Two at once", "the green and the grey card"],
    "pull-early": ["Pulled away", "the green card, too early"],
  },
  suspended: "suspended",
  notSuspended: "not suspended",
  endsIn: (/** @type {string} */ time) => `ends in ${time}`,
  suspend: "Suspend",
  reinstate: "Reinstate",
  suspendCard: (/** @type {string} */ name) => `Suspend: ${name}`,
  reinstateCard: (/** @type {string} */ name) => `Reinstate: ${name}`,
  asked: { suspend: "suspending …", reinstate: "reinstating …" },
  turnstile: "The turnstile",
  seen: {
    locked: "The arms are locked.",
    released: "The arms are released: walk through.",
    free: "The arms hang free: emergency.",
    outcome: {
      ready: "Ready.",
      admitted: "Green, one beep.",
      admitted_with_notice: "Green, two beeps.",
      denied: "Red, a low broken tone.",
      try_again: "Red, blinking, a warning tone.",
      unsupported: "Red, blinking, a warning tone.",
      out_of_service: "The lamp is off.",
      emergency: "Green, blinking.",
    },
    leftEarly: "Gone before it had told its number: the gate decided nothing, and let nobody in.",
  },
  outcomes: {
    admitted: "Admitted",
    admitted_with_notice: "Admitted, with a notice",
    denied: "Refused",
    try_again: "No verdict: try again",
    unsupported: "Not supported",
  },
  inside: "Inside this tap",
  noTap: "Lay a card on the reader: each step of it comes here, with its time.",
  total: (/** @type {string} */ outcome, /** @type {string} */ time) => `${outcome} in ${time}`,
  own: (/** @type {string} */ time) => `${time} of it in this program; the rest is radio and wire, simulated with a real chip's timing.`,
  stages: {
    radio: "Radio",
    wait: "Waits for the one before",
    decide: "Decide",
    report: "Report to disk",
    tell: "Tell the gate",
    wire: "Wire",
  },
  simulated: "simulated",
  noStage: "none",
  scale: "Each line of the scale is ten times the one before.",
  earlier: "Taps before this one",
  p50: "half within",
  decided: "decided",
  told: "told",
  taps: (/** @type {string} */ count, /** @type {number} */ n) => `At this lane since its start: ${count} ${n === 1 ? "tap" : "taps"}`,
  road: "Between gate and city",
  list: (/** @type {string} */ version) => `List ${version}`,
  noList: "No list",
  listStates: { fresh: "fresh", stale: "stale", missing: "missing", corrupt: "damaged", clock_unknown: "clock unknown" },
  listFacts: (/** @type {string} */ state, /** @type {string} */ age, /** @type {string} */ cards) => `${state}, ${age} old, ${cards} cards in its tables`,
  waiting: "Reports waiting at the gate",
  delivered: "delivered",
  received: "in the city",
  roadUp: (/** @type {number} */ waiting) => (waiting ? "On their way." : "The network is up. No report waits."),
  roadCut: "The network is cut. Reports wait on the gate's disk, sealed so that only the city can read them.",
  missing: (/** @type {string} */ n) => `${n} missing!`,
  promises: "Put its promises to the test",
  names: {
    network: "Network",
    plug: "Power",
    reader: "Reader",
    cutOff: "Cut-off date",
    emergency: "Emergency",
    push: "Force",
  },
  says: {
    network: "Without the city, the gate goes on deciding and keeps its reports.",
    plug: "Kills the gate's programs in the middle of everything (SIGKILL), as a power cut does.",
    reader: "A gate that cannot read says so, and goes on by itself when it can.",
    cutOff: "From this day on, cards that are matched with nobody are refused. A rule is signed data, not code.",
    emergency: "Frees the arms by hardware. No program is asked, and none may lock them again.",
    push: "Locked arms hold. Released or free, they let you through at once.",
  },
  does: {
    network: (/** @type {boolean} */ on) => (on ? "Cut the network" : "Mend the network"),
    plug: (/** @type {boolean} */ on) => (on ? "Pull the plug" : "Put the plug in"),
    reader: (/** @type {boolean} */ on) => (on ? "Unplug the reader" : "Plug the reader in"),
    cutOff: (/** @type {boolean} */ on) => (on ? "Move it to the future" : "Move it to the past"),
    emergency: (/** @type {boolean} */ on) => (on ? "Press the emergency button" : "Release the button"),
    push: () => "Push the arms",
  },
  is: {
    network: (/** @type {boolean} */ on) => (on ? "up" : "cut"),
    plug: { in: "in", pulled: "pulled", starting: "starting" },
    reader: (/** @type {boolean} */ on) => (on ? "plugged in" : "unplugged"),
    cutOff: (/** @type {boolean} */ inForce, /** @type {string} */ day) => `${day}, ${inForce ? "past" : "to come"}`,
    emergency: (/** @type {boolean} */ on) => (on ? "pressed" : "at rest"),
  },
  came: {
    cut: (/** @type {string} */ age, /** @type {number} */ taps, /** @type {number} */ waiting) =>
      `Cut for ${age}. ${taps === 0 ? "Try a card." : `${taps} ${taps === 1 ? "tap" : "taps"} decided all the same;`} ${taps === 0 ? "" : `${waiting} ${waiting === 1 ? "report waits" : "reports wait"}.`}`,
    mended: (/** @type {number} */ waiting) =>
      waiting ? `Up again. ${waiting} still on the way.` : "Up again. All that waited is in the city: nothing lost.",
    pulled: (/** @type {number} */ waiting) => `Dead. ${waiting} ${waiting === 1 ? "report lies" : "reports lie"} on its disk.`,
    starting: "Starting …",
    plugged: (/** @type {string} */ took, /** @type {number} */ before) =>
      `Back after ${took}. ${before ? `${before} ${before === 1 ? "report" : "reports"} before, none of them lost.` : "Nothing was waiting, nothing is lost."}`,
    lost: (/** @type {string} */ age, /** @type {boolean} */ isTold) => `Out of service for ${age}${isTold ? ", and the city is told" : ""}.`,
    found: (/** @type {string} */ took) => `Back by itself, after ${took}.`,
    asked: "The city signs a new list …",
    askedCut: "The city has signed a new list. The gate hears of it when the network is back.",
    moved: (/** @type {boolean} */ inForce, /** @type {number | string} */ version) =>
      inForce ? `The gate follows, with list ${version}: the grey card is refused.` : `The gate follows, with list ${version}: the grey card is let in and told to be matched.`,
    freed: (/** @type {number} */ walked) => `The arms hang free. ${walked ? `${walked} walked through.` : "Push them."}`,
    calm: "Locked again, by the hardware.",
    forced: (/** @type {number} */ n) => `Forced while locked: the gate noticed. (${n})`,
    passed: "Not locked: somebody walked through.",
    followed: (/** @type {string} */ took) => `The gate followed in ${took}.`,
  },
  problem: (/** @type {Answer} */ answer) => (answer.refusal ? EN.refusals[answer.refusal] : (answer.problem ?? EN.away)),
  refusals: {
    is_so: "It is so already.",
    card_lies: "That card lies on the reader: take it away first.",
    no_card: "No card lies on the reader.",
    city_is_busy: "The city is still at it. One moment.",
    no_list_can_name_it: "A phone shows another number each time: no list can name it.",
  },
  away: "The demo does not answer.",
  honest: "Nothing here is pretended. Each card goes through a simulated PN532 chip, the real driver, the real gate program, and the real back office, all on this machine; the page only shows what they say.",
  statusPage: "The gate's own status page",
  seconds: (/** @type {number} */ s) => (s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`),
};

/** @type {typeof EN} */
const TR = {
  locale: "tr-TR",
  title: "Turnike: denemeniz için bir turnike",
  claim: "Ağ olsa da olmasa da, mikrosaniyeler içinde kendi başına karar veren bir turnike.",
  otherLanguage: "English",
  sound: (on) => (on ? "Ses açık" : "Ses kapalı"),
  connection: { waiting: "Bağlanıyor …", live: "Canlı", away: "Demoya ulaşılamıyor. Yeniden deneniyor …" },
  guide: "İlk dakika",
  steps: [
    ["Yeşil kartı okuyucuya koyun", "Sürükleyin ya da tıklayın."],
    ["Şimdi kırmızı kartı", "Geçemez. Ekran nedenini asla söylemez."],
    ["Ağı kesin, kırmızı kartı yeniden deneyin", "Turnike yine karar verir. Rapor diskte bekler."],
    ["Fişi çekin, sonra geri takın", "Rapor, lamba kırmızı yanmadan önce diskteydi."],
    ["Ağı onarın", "Rapor şehre ulaşır. Hiçbir şey kaybolmadı."],
  ],
  stepsDone: "Gördünüz: geçti, geçemedi, ağsız, elektriksiz; ve hiçbir şey kaybolmadı.",
  tray: "Kartlarınız",
  trayHint: "Birini okuyucuya sürükleyin ya da tıklayın.",
  cards: {
    matched: ["Yeşil kart", "sahibiyle eşleşmiş"],
    suspended: ["Kırmızı kart", "belediye askıya almış"],
    unmatched: ["Gri kart", "kimseyle eşleşmemiş"],
    brief: ["Sarı kart", "bir dakikalığına askıda"],
    staff: ["Görevli kartı", "bakım için açar"],
    phone: ["Telefon", "her seferinde başka numara"],
    clash: ["İkisi birden", "yeşil ve gri kart"],
    "pull-early": ["Erken çekilen", "yeşil kart, çok erken"],
  },
  suspended: "askıda",
  notSuspended: "askıda değil",
  endsIn: (time) => `bitmesine ${time}`,
  suspend: "Askıya al",
  reinstate: "Askıyı kaldır",
  suspendCard: (name) => `Askıya al: ${name}`,
  reinstateCard: (name) => `Askıyı kaldır: ${name}`,
  asked: { suspend: "askıya alınıyor …", reinstate: "askısı kaldırılıyor …" },
  turnstile: "Turnike",
  seen: {
    locked: "Kollar kilitli.",
    released: "Kollar serbest: geçiniz.",
    free: "Kollar boşta: acil durum.",
    outcome: {
      ready: "Hazır.",
      admitted: "Yeşil, tek bip.",
      admitted_with_notice: "Yeşil, iki bip.",
      denied: "Kırmızı, kalın ve kesik ses.",
      try_again: "Yanıp sönen kırmızı, uyarı sesi.",
      unsupported: "Yanıp sönen kırmızı, uyarı sesi.",
      out_of_service: "Lamba kapalı.",
      emergency: "Yanıp sönen yeşil.",
    },
    leftEarly: "Numarasını söylemeden çekildi: turnike karar vermedi, kimseyi geçirmedi.",
  },
  outcomes: {
    admitted: "Geçti",
    admitted_with_notice: "Uyarıyla geçti",
    denied: "Geçemedi",
    try_again: "Karar yok: tekrar",
    unsupported: "Desteklenmiyor",
  },
  inside: "Bu okutmanın içi",
  noTap: "Okuyucuya bir kart koyun: her adımı, süresiyle burada görünür.",
  total: (outcome, time) => `${outcome}: ${time}`,
  own: (time) => `Bunun ${time} kadarı bu programda geçti; kalanı, gerçek bir çipin süreleriyle benzetilen radyo ve hat.`,
  stages: {
    radio: "Radyo",
    wait: "Öndekini bekleme",
    decide: "Karar",
    report: "Diske rapor",
    tell: "Turnikeye bildirme",
    wire: "Hat",
  },
  simulated: "benzetim",
  noStage: "yok",
  scale: "Ölçekteki her çizgi, bir öncekinin on katıdır.",
  earlier: "Önceki okutmalar",
  p50: "yarısı",
  decided: "karar",
  told: "bildirim",
  taps: (count) => `Bu geçitte, açıldığından beri: ${count} okutma`,
  road: "Turnike ile şehir arasında",
  list: (version) => `Liste ${version}`,
  noList: "Liste yok",
  listStates: { fresh: "güncel", stale: "eski", missing: "yok", corrupt: "bozuk", clock_unknown: "saat bilinmiyor" },
  listFacts: (state, age, cards) => `${state}, yaşı ${age}, tablolarında ${cards} kart`,
  waiting: "Turnikede bekleyen rapor",
  delivered: "teslim edilen",
  received: "şehre ulaşan",
  roadUp: (waiting) => (waiting ? "Yoldalar." : "Ağ var. Bekleyen rapor yok."),
  roadCut: "Ağ kesik. Raporlar turnikenin diskinde bekler; yalnızca şehrin açabileceği biçimde mühürlüdür.",
  missing: (n) => `${n} eksik!`,
  promises: "Sözlerini sınayın",
  names: {
    network: "Ağ",
    plug: "Elektrik",
    reader: "Okuyucu",
    cutOff: "Son eşleştirme günü",
    emergency: "Acil durum",
    push: "Zorlama",
  },
  says: {
    network: "Şehre ulaşamasa da turnike karar vermeyi sürdürür, raporlarını saklar.",
    plug: "Turnikenin programlarını işin ortasında öldürür (SIGKILL); elektrik kesilmiş gibi.",
    reader: "Okuyamayan turnike bunu söyler; okuyabildiğinde kendiliğinden devam eder.",
    cutOff: "Bu günden sonra kimseyle eşleşmemiş kartlar geçemez. Kural kod değil, imzalı veridir.",
    emergency: "Kolları donanım boşa alır. Hiçbir programa sorulmaz, hiçbiri yeniden kilitleyemez.",
    push: "Kilitli kollar direnir. Serbest ya da boştaysa hemen geçirir.",
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
    cut: (age, taps, waiting) => `${age} önce kesildi. ${taps === 0 ? "Bir kart deneyin." : `Yine de ${taps} okutmada karar verdi; ${waiting} rapor bekliyor.`}`,
    mended: (waiting) => (waiting ? `Ağ geri geldi. ${waiting} rapor yolda.` : "Ağ geri geldi. Bekleyenlerin hepsi şehirde: kayıp yok."),
    pulled: (waiting) => `Durdu. Diskinde ${waiting} rapor var.`,
    starting: "Açılıyor …",
    plugged: (took, before) => `${took} sonra geri geldi. ${before ? `Önceki ${before} raporun hiçbiri kaybolmadı.` : "Bekleyen yoktu, kayıp da yok."}`,
    lost: (age, isTold) => `${age} süredir hizmet dışı${isTold ? "; şehre bildirildi" : ""}.`,
    found: (took) => `${took} sonra kendiliğinden geri geldi.`,
    asked: "Şehir yeni bir liste imzalıyor …",
    askedCut: "Şehir yeni bir liste imzaladı. Ağ gelince turnike de öğrenir.",
    moved: (inForce, version) =>
      inForce ? `Turnike ${version} numaralı listeye uydu: gri kart geçemez.` : `Turnike ${version} numaralı listeye uydu: gri kart geçer, eşleştirmesi istenir.`,
    freed: (walked) => `Kollar boşta. ${walked ? `${walked} kişi geçti.` : "İtmeyi deneyin."}`,
    calm: "Donanım yeniden kilitledi.",
    forced: (n) => `Kilitliyken zorlandı: turnike fark etti. (${n})`,
    passed: "Kilitli değildi: biri geçti.",
    followed: (took) => `Turnike ${took} içinde uydu.`,
  },
  problem: (answer) => (answer.refusal ? TR.refusals[answer.refusal] : answer.problem ? `Olmadı: ${answer.problem}` : TR.away),
  refusals: {
    is_so: "Zaten öyle.",
    card_lies: "O kart okuyucunun üstünde duruyor: önce kaldırın.",
    no_card: "Okuyucuda kart yok.",
    city_is_busy: "Şehir hâlâ bununla uğraşıyor. Biraz bekleyin.",
    no_list_can_name_it: "Telefon her seferinde başka numara gösterir: hiçbir liste onu adlandıramaz.",
  },
  away: "Demo yanıt vermiyor.",
  honest: "Burada hiçbir şey gösteriş değil. Her kart, benzetilmiş bir PN532 çipinden, gerçek sürücüden, gerçek turnike programından ve gerçek arka ofisten geçer; hepsi bu makinededir, sayfa yalnızca onların söylediğini gösterir.",
  statusPage: "Turnikenin kendi durum sayfası",
  seconds: (s) => (s < 60 ? `${s} sn` : s < 3600 ? `${Math.floor(s / 60)} dk ${s % 60} sn` : `${Math.floor(s / 3600)} sa ${Math.floor((s % 3600) / 60)} dk`),
};

/** @typedef {typeof EN} Words */

/** @type {Record<Language, Words>} */
export const WORDS = { en: EN, tr: TR };

/**
 * A duration for a person: 940 µs, 8.7 ms.
 * @param {number} us
 * @param {Words} words
 */
export function duration(us, words) {
  const inMs = us >= 1_000;
  const number = inMs ? us / 1_000 : us;
  const digits = inMs && number < 100 ? 1 : 0;
  return `${number.toLocaleString(words.locale, { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${inMs ? "ms" : "µs"}`;
}

/**
 * Whole seconds as 0:42.
 * @param {number} s
 */
export function clock(s) {
  const whole = Math.max(Math.ceil(s), 0);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/**
 * @param {number} n
 * @param {Words} words
 */
export function count(n, words) {
  return n.toLocaleString(words.locale);
}

/**
 * The day in İstanbul.
 * @param {number} unixS
 * @param {Words} words
 */
export function day(unixS, words) {
  return new Date(unixS * 1_000).toLocaleDateString(words.locale, { timeZone: "Europe/Istanbul", day: "2-digit", month: "2-digit", year: "numeric" });
}
