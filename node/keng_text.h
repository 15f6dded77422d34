/* keng_text.h - every sentence that keng says, in Vietnamese and English.
 *
 * A template names its arguments {1} to {9}, so that the two languages may order them as they
 * need; arguments are texts.  Messages about wrong input say what is wrong and how to mend it, on
 * one line.
 *
 * Time      Linear in the text.
 * Memory    Templates are constant; text_fill() writes into the caller's buffer.
 * Errors    None: a text that does not fit is cut at a whole UTF-8 character.
 */
#ifndef KENG_NODE_KENG_TEXT_H
#define KENG_NODE_KENG_TEXT_H

#include <stddef.h>

enum keng_lang { KENG_VI, KENG_EN, KENG_LANG_COUNT };

/* X(name, Vietnamese, English) */
#define KENG_TEXTS(X) \
    /* the program and its commands */ \
    X(ABOUT, "keng: nhắn tin khi mất mạng, mất điện", \
      "keng: messages when network and power are gone") \
    X(USAGE, "Cách dùng", "Usage") \
    X(COMMANDS, "Các lệnh:", "Commands:") \
    X(OPTIONS, "Tuỳ chọn:", "Options:") \
    X(MORE_HELP, "Xem thêm: keng help LỆNH; tên chỉ tiêu: keng help LOẠI (keng help cuu-nan)", \
      "More: keng help COMMAND; names of indicators: keng help KIND, e.g. keng help rescue") \
    X(USAGE_WORDS, "LỆNH [TUỲ CHỌN]", "COMMAND [OPTIONS]") \
    X(OPTIONS_WORD, "[TUỲ CHỌN]", "[OPTIONS]") \
    X(REPORT_OPERANDS, "LOẠI [TÊN=SỐ ...] [\"LỜI NHẮN\"]", "KIND [NAME=VALUE ...] [\"TEXT\"]") \
    X(REPORT_KINDS, "LOẠI: {1}", "KIND: {1}") \
    X(REPORT_NAMES, "Tên chỉ tiêu của một loại: keng help LOẠI", \
      "Names of the indicators of a kind: keng help KIND") \
    X(EXAMPLES, "Ví dụ:", "Examples:") \
    X(EXAMPLE_RESCUE, "  keng bao cuu-nan mac_ket=3 \"trên mái nhà, cần xuồng\"", \
      "  keng report rescue trapped=3 \"on the roof, boat needed\"") \
    X(EXAMPLE_DAMAGE, "  keng bao thiet-hai nha_sap=2 bi_thuong=0 --thien-tai lu_quet", \
      "  keng report damage houses_destroyed=2 injured=0 --hazard lu_quet") \
    X(EXAMPLE_SAFE, "  keng bao an-toan nguoi=97", "  keng report safe people=97") \
    X(EXAMPLE_RULE, "Số là tổng đến lúc này; 0 là không có; không biết thì đừng ghi.", \
      "Figures are totals up to now; 0 means none; leave out what you do not know.") \
    X(CMD_REPORT, "gửi tin báo", "file a report") \
    X(CMD_STATUS, "tin đã gửi đi đến đâu", "how far my reports have come") \
    X(CMD_INBOX, "chỉ đạo, trả lời của xã và tin của người khác", \
      "directives, answers and new reports") \
    X(CMD_CONFIRM, "báo xã là đã đọc chỉ đạo", "tell the commune that a directive was read") \
    X(CMD_WATCH, "theo dõi tin đến, bấm Ctrl-C để dừng", "follow what arrives, Ctrl-C ends") \
    X(CMD_ROSTER, "ai có số nào trong xã", "who has which number in the commune") \
    X(CMD_NODE, "máy này: số bản ghi, máy lân cận, thời gian phát", \
      "this node: records, neighbours, airtime") \
    X(CMD_IMPORT, "nạp tin từ tệp .keng (thẻ nhớ, USB)", \
      "feed records of a .keng file to the node") \
    X(CMD_INIT, "lập bộ khoá gốc của xã", "make a commune's key desk") \
    X(CMD_PROFILE, "xem hoặc ký lại tên, tần số, công suất của xã", \
      "show or sign anew the commune's name, frequency and power") \
    X(CMD_ENROLL, "cấp số và khoá cho người hoặc máy", "give a person or box a number and a key") \
    X(CMD_REVOKE, "thu hồi một số", "take a number back") \
    X(CMD_CERT, "cấp chứng thư TLS cho máy chủ của xã", "issue a TLS certificate for a server") \
    X(CMD_MODEM, "bộ thu phát LoRa: tìm, xem, cài đặt, thử đường truyền", \
      "the LoRa modem: find, show, set up, test a link") \
    X(MODEM_PART_LIST, "  list          các cổng nối tiếp và tên cố định của chúng", \
      "  list          serial ports and their stable names") \
    X(MODEM_PART_PROBE, "  probe PORT    nghe 2 giây xem là loại nào; --ask thì hỏi", \
      "  probe PORT    listens for two seconds which modem it is; asks with --ask") \
    X(MODEM_PART_SHOW, "  show          thông số đang dùng, đã đọc lại chưa, các số đếm", \
      "  show          settings in force, whether they were read back, counters") \
    X(MODEM_PART_SETUP, "  set-up [TÊN]  chọn thông số nhanh nhất đúng quy định; --write thì ghi", \
      "  set-up [NAME] chooses the fastest lawful setting; writes it with --write") \
    X(MODEM_PART_TEST, "  test NODE     thử đường truyền với máy kia, chạy ở cả hai máy", \
      "  test NODE     a link test with another node, run at both") \
    X(MODEM_PART_MONITOR, "  monitor       mỗi khung nghe được hoặc phát đi một dòng", \
      "  monitor       a line for each frame heard or sent") \
    X(CMD_HELP, "hướng dẫn", "help on a command or a kind of report") \
    X(OPT_LANG, "vi hoặc en", "vi or en") \
    X(OPT_HOME, "thư mục của máy", "directory of the node") \
    X(OPT_SOCKET, "tệp socket của kengd", "socket of kengd") \
    X(OPT_DATA, "thư mục danh mục chỉ tiêu", "directory of the catalogues") \
    X(OPT_JSON, "in JSON cho chương trình đọc", "print JSON for programs") \
    X(OPT_HELP, "in hướng dẫn này", "print this help") \
    X(OPT_TEXT, "lời nhắn; dấu - là đọc từ đầu vào", "free text; - reads it from standard input") \
    X(OPT_LINES, "mỗi dòng của tệp là một tin; dấu - là đầu vào", \
      "every line of a file is a report; - reads standard input") \
    X(OPT_VILLAGE, "thôn, bản: tên hoặc số", "village: name or number") \
    X(OPT_EVENT, "số của đợt thiên tai", "number of the event") \
    X(OPT_HAZARD, "loại thiên tai", "hazard") \
    X(OPT_AT, "toạ độ, vĩ độ trước, ví dụ 22.05,104.27", \
      "place, latitude first, e.g. 22.05,104.27") \
    X(OPT_PRIORITY, "mức: cuu-nan so-tan thiet-hai thuong", \
      "priority: rescue evacuation damage routine") \
    X(OPT_AS, "gửi với số của người này", "write as this author") \
    X(OPT_DRILL, "diễn tập, không tính vào số liệu", "an exercise: never counted") \
    X(OPT_DRY_RUN, "chỉ kiểm tra, không gửi", "check only, store nothing") \
    X(OPT_ALL, "tất cả", "all of them") \
    X(OPT_DIR, "thư mục bộ khoá gốc", "directory of the key desk") \
    X(OPT_NAME, "tên", "name") \
    X(OPT_CODE, "mã đơn vị hành chính của xã", "official code of the commune") \
    X(OPT_REGION, "vùng tần số, ví dụ VN-920, VN-433", "region, e.g. VN-920, VN-433") \
    X(OPT_FREQ, "tần số giữa, MHz", "centre frequency, MHz") \
    X(OPT_BW, "băng thông, kHz", "bandwidth, kHz") \
    X(OPT_SF, "hệ số trải phổ 5-12", "spreading factor 5-12") \
    X(OPT_CR, "mã sửa lỗi 5-8 (4/5 đến 4/8)", "coding rate 5-8 (4/5 to 4/8)") \
    X(OPT_PREAMBLE, "số ký hiệu mào đầu", "preamble symbols") \
    X(OPT_EIRP, "công suất bức xạ, dBm", "radiated power, dBm") \
    X(OPT_NUMBER, "số của người hoặc máy, 1-65534", "number of the author, 1-65534") \
    X(OPT_ROLE, "member, node, gateway hoặc operator", "member, node, gateway or operator") \
    X(OPT_OUT, "thư mục nhận kết quả", "directory that takes the result") \
    X(OPT_AFTER, "số thứ tự tin cuối cùng còn tin được", "number of the last good record") \
    X(OPT_ASK, "hỏi bộ đàm; KHÔNG dùng khi có thể là mô-đun Ebyte: nó sẽ phát câu hỏi lên sóng", \
      "put questions; NOT where an Ebyte module may be: it would send them over the air") \
    X(OPT_WIRES, "dây M0, M1, AUX của mô-đun, viết như lines trong kengd.conf", \
      "wires M0, M1, AUX of a module, as lines of kengd.conf") \
    X(OPT_RANGE, "tầm xa cần đạt, km", "wanted range, km") \
    X(OPT_MARGIN, "dự phòng cho đồi, cây, mưa, dB (30)", "margin for hills, trees, rain, dB (30)") \
    X(OPT_PORT, "cổng của bộ đàm, tên cố định", "port of the modem, its stable name") \
    X(OPT_DRIVER, "loại bộ đàm", "kind of modem") \
    X(OPT_SETTINGS, "thông số riêng của loại đó (options trong kengd.conf)", \
      "settings of that kind only (options of kengd.conf)") \
    X(OPT_AMATEUR, "hô hiệu của người có giấy phép vô tuyến nghiệp dư", \
      "call sign of whoever holds the amateur licence") \
    X(OPT_GAIN, "độ lợi ăng ten, dBi", "antenna gain, dBi") \
    X(OPT_LOSS, "suy hao cáp, dB", "cable loss, dB") \
    X(OPT_WRITE, "ghi vào kengd.conf", "write it to kengd.conf") \
    X(OPT_FRAMES, "số khung thử phát đi (20)", "frames to send for the test (20)") \
    X(OPT_SECONDS, "dừng sau chừng ấy giây", "end after so many seconds") \
    /* wrong input: exit status 2 */ \
    X(WRONG_PART, "modem không có phần '{1}'; dùng: {2}", "modem has no part '{1}'; use: {2}") \
    X(WRONG_DRIVER, "không có loại bộ đàm '{1}'", "there is no kind of modem '{1}'") \
    X(WRONG_CLOSED, "{1} không cho biết cách phát: không tính được tầm xa; dùng keng modem test", \
      "{1} does not say how it modulates: its range cannot be worked out; try keng modem test") \
    X(WRONG_SECTION, "{1}: phải ghi tên mục radio, một trong:{2}", \
      "{1}: the radio must be named, one of:{2}") \
    X(WRONG_NO_SECTIONS, "{1} không có mục radio {2}; bỏ tên đi: chỉ có một bộ đàm", \
      "{1} has no section radio {2}; leave the name out: there is one modem only") \
    X(WRONG_CONF_TEXT, "--{1}: '{2}' quá dài hoặc có ký tự không dùng được", \
      "--{1}: '{2}' is too long or has characters that cannot stand there") \
    X(WRONG_COMMAND, \
      "không có lệnh '{1}'; gửi tin: keng bao; xem tin: keng tin; hoặc: keng --help", \
      "there is no command '{1}'; see: keng --help") \
    X(WRONG_COMMAND_KIND, "'{1}' là loại tin; gõ: keng bao {1} ...", \
      "'{1}' is a kind of report; type: keng report {1} ...") \
    X(WRONG_NO_COMMAND, "thiếu lệnh; gửi tin: keng bao; xem tin: keng tin; hoặc: keng --help", \
      "a command is missing; to report: keng report; see: keng --help") \
    X(WRONG_OPTION, "lệnh {2} không có tuỳ chọn '{1}'; xem: keng help {2}", \
      "{2} has no option '{1}'; see: keng help {2}") \
    X(WRONG_OPTION_VALUE, "tuỳ chọn --{1} cần một giá trị", "option --{1} needs a value") \
    X(WRONG_OPTION_FLAG, "tuỳ chọn --{1} không nhận giá trị", "option --{1} takes no value") \
    X(WRONG_OPTION_TWICE, "tuỳ chọn --{1} ghi hai lần", "option --{1} is given twice") \
    X(WRONG_OPTION_MISSING, "thiếu --{1}; xem: keng help {2}", \
      "--{1} is missing; see: keng help {2}") \
    X(WRONG_OPTIONS_EXCLUDE, "--{1} và --{2} không đi cùng nhau", \
      "--{1} and --{2} do not go together") \
    X(WRONG_OPERAND, "thừa '{1}'; xem: keng help {2}", "'{1}' is too much; see: keng help {2}") \
    X(WRONG_OPERAND_MISSING, "còn thiếu; cách dùng: {1}", "something is missing; usage: {1}") \
    X(WRONG_LANG, "--lang phải là vi hoặc en, không phải '{1}'", \
      "--lang must be vi or en, not '{1}'") \
    X(WRONG_NUMBER, "--{1} phải là số từ {2} đến {3}, không phải '{4}'", \
      "--{1} must be a number from {2} to {3}, not '{4}'") \
    X(WRONG_KIND, "không có loại tin '{1}'; dùng: {2}", "there is no kind '{1}'; use: {2}") \
    X(WRONG_NO_KIND, "thiếu loại tin; dùng: {1}; ví dụ: keng bao cuu-nan mac_ket=3", \
      "the kind is missing; use: {1}; e.g. keng report rescue trapped=3") \
    X(WRONG_PAIR, "'{1}' phải viết TÊN=SỐ, liền nhau, ví dụ nha_sap=3; lời nhắn: --text \"...\"", \
      "'{1}' must read NAME=VALUE without blanks, e.g. houses_destroyed=3; words: --text \"...\"") \
    X(WRONG_TEXT_TWICE, "lời nhắn ghi hai lần; để tất cả trong một cặp ngoặc kép", \
      "there are two texts; put all of it between one pair of quotes") \
    X(WRONG_PAIR_TWICE, "'{1}' ghi hai lần; chỉ ghi một tổng số", \
      "'{1}' is given twice; give one total") \
    X(WRONG_NAME, "không có chỉ tiêu '{1}'; xem tên: keng help {2}; không có tên thì dùng --text", \
      "there is no indicator '{1}'; names: keng help {2}; if there is none, use --text") \
    X(WRONG_NAME_NEAR, "không có chỉ tiêu '{1}'; có phải: {2}?", \
      "there is no indicator '{1}'; did you mean: {2}?") \
    X(WRONG_ENDED, "'{1}' chỉ dùng đến hết ngày {2}, nay không còn", \
      "'{1}' was in use until {2} and is no more") \
    X(WRONG_NOT_YET, "'{1}' đến ngày {2} mới dùng", "'{1}' is not in use before {2}") \
    X(WRONG_VALUE_NUMBER, "{1}: '{2}' không phải là số; chỉ ghi số, ví dụ {1}=12 (đơn vị: {3})", \
      "{1}: '{2}' is not a number; digits only, e.g. {1}=12 (unit: {3})") \
    X(WRONG_VALUE_NEGATIVE, "{1}: số không được âm ('{2}')", "{1}: must not be negative ('{2}')") \
    X(WRONG_VALUE_DECIMALS, \
      "{1}: '{2}' có quá nhiều số lẻ, tối đa {3}; số nghìn viết liền 1250 (đơn vị: {4})", \
      "{1}: '{2}' has too many decimals, {3} at most; write thousands as 1250 (unit: {4})") \
    X(WRONG_VALUE_WHOLE, "{1}: '{2}' phải là số nguyên; số nghìn viết liền: 1250 (đơn vị: {3})", \
      "{1}: '{2}' must be whole, no decimals; write thousands as 1250 (unit: {3})") \
    X(WRONG_VALUE_RANGE, "{1}: số '{2}' quá lớn, xem lại", "{1}: '{2}' is too large, check it") \
    X(WRONG_VALUE_STATE, "{1}: '{2}' không hợp lệ; dùng: {3}", \
      "{1}: '{2}' is not valid; use: {3}") \
    X(WRONG_FIGURE_COUNT, "nhiều hơn {1} chỉ tiêu trong một tin; chia thành hai tin", \
      "more than {1} indicators in one report; make two") \
    X(UNIT_COUNT, "số đếm", "a plain count") \
    X(WRONG_EMPTY, "tin trống, chưa gửi gì; thêm TÊN=SỐ hoặc --text \"...\"", \
      "the report is empty, nothing was stored; add NAME=VALUE or --text \"...\"") \
    X(WRONG_TEXT_FORM, "lời nhắn có ký tự không dùng được ({1}); gõ lại bằng chữ thường", \
      "the text has characters that cannot be used ({1}); type it again in plain letters") \
    X(WRONG_TEXT_LINE, "dòng {1} có ký tự không dùng được ({2}); sửa dòng đó", \
      "line {1} has characters that cannot be used ({2}); mend that line") \
    X(WRONG_TEXT_LONG, "lời nhắn quá dài cho một tin; bớt chữ hoặc chia thành hai tin", \
      "the text is too long for one report; shorten it or make two") \
    X(WRONG_LINE_LONG, "dòng {1} quá dài cho một tin; bớt chữ hoặc chia thành hai dòng", \
      "line {1} is too long for one report; shorten it or make two lines") \
    X(WRONG_DIRECTIVE, "không có chỉ đạo số '{1}' cho máy này; xem: keng hop-thu", \
      "there is no directive '{1}' for this box; see: keng inbox") \
    X(WRONG_VILLAGE, "không có thôn, bản '{1}'; ghi tên như trong danh sách, hoặc số", \
      "there is no village '{1}'; use a name of the list, or its number") \
    X(WRONG_VILLAGE_NEAR, "không có thôn, bản '{1}'; có phải: {2}?", \
      "there is no village '{1}'; did you mean: {2}?") \
    X(WRONG_HAZARD, "không có loại thiên tai '{1}'; dùng: {2}", \
      "there is no hazard '{1}'; use: {2}") \
    X(WRONG_PLACE, "--at '{1}' phải là VĨ ĐỘ,KINH ĐỘ với dấu chấm, ví dụ 22.05,104.27", \
      "--at '{1}' must be LAT,LON in degrees, e.g. 22.05,104.27") \
    X(WRONG_PRIORITY, "không có mức '{1}'; dùng: {2}", "there is no priority '{1}'; use: {2}") \
    X(WRONG_REPORT, "tin không hợp lệ: {1}", "the report is not valid: {1}") \
    X(WRONG_REFUSED, "máy không nhận tin: {1}", "the node refused the report: {1}") \
    X(WRONG_DESK_EXISTS, "'{1}' đã có; chọn thư mục khác, khoá cũ không bị động đến", \
      "'{1}' exists already; choose another directory, the old keys stay untouched") \
    X(WRONG_DESK_DIR, "'{1}' không dùng làm thư mục khoá gốc được; ghi tên một thư mục mới", \
      "'{1}' cannot be a key desk; name a new directory") \
    X(WRONG_PERSON_NAME, "tên '{1}' không dùng được: phải có, một dòng, tối đa {2} byte", \
      "the name '{1}' cannot be used: one line, not empty, {2} bytes at most") \
    X(WRONG_CODE, "mã '{1}' phải là chữ số, tối đa {2}", \
      "the code '{1}' must be digits, {2} at most") \
    X(WRONG_REGION, "không có vùng '{1}'; dùng một tên trong {2}, ví dụ VN-920", \
      "there is no region '{1}'; use a name of {2}, e.g. VN-920") \
    X(WRONG_LAW, "trái quy định về tần số: {1}", "against the law: {1}") \
    X(WRONG_NO_LAW, "thông số đang có chưa ghi quy định tần số; thêm --region {1}", \
      "the profile that stands states no law; add --region {1}") \
    X(WRONG_RADIO, "thông số vô tuyến không dùng được; SF 5-12, CR 5-8, băng thông 7.81-500 kHz", \
      "radio parameters cannot be used; SF 5-12, CR 5-8, bandwidth 7.81-500 kHz") \
    X(WRONG_EIRP, "công suất phải từ {1} đến {2} dBm theo quy định, không phải '{3}'", \
      "the power must be {1} to {2} dBm by the law, not '{3}'") \
    X(WRONG_DECIMAL, "--{1}: '{2}' không phải là số, viết như {3}", \
      "--{1}: '{2}' is not a number, write it like {3}") \
    X(WRONG_ROLE, "không có vai trò '{1}'; dùng: member node gateway operator", \
      "there is no role '{1}'; use: member node gateway operator") \
    X(WRONG_TAKEN, "số {1} đã cấp cho {2}, không dùng lại; số còn trống: {3}", \
      "number {1} belongs to {2} and is never used again; free: {3}") \
    X(WRONG_UNKNOWN_NUMBER, "số {1} chưa cấp cho ai trong xã", "number {1} is not in the roster") \
    X(WRONG_OTHER_NETWORK, "'{1}' là của xã khác; chọn thư mục khác", \
      "'{1}' belongs to another commune; choose another directory") \
    X(WRONG_HOME_FULL, "'{1}' đã có {2} khoá; dùng máy khác", \
      "'{1}' has {2} keys already; use another box") \
    X(WRONG_CERT, "tên hoặc địa chỉ không dùng được trong chứng thư: {1}", \
      "a name or address cannot stand in a certificate: {1}") \
    X(WRONG_FILE, "'{1}' không phải tệp tin của Kẻng: {2}", "'{1}' is not a file of Kẻng: {2}") \
    X(WRONG_FILE_NETWORK, "'{1}' là tin của xã khác, không nạp", \
      "'{1}' holds records of another commune, not taken") \
    /* failures: exit status 1 */ \
    X(FAILED, "không làm được: {1}", "{1}") \
    X(FAILED_NO_DAEMON, \
      "tin CHƯA được giữ: không nối được kengd ở {1} ({2}); bật lại máy rồi gửi lại", \
      "nothing was stored: cannot reach kengd at {1} ({2}); is kengd running?") \
    X(FAILED_CONNECT, "không nối được kengd ở {1} ({2}); bật lại máy rồi thử lại", \
      "cannot reach kengd at {1} ({2}); is kengd running?") \
    X(FAILED_UNSURE, "chưa biết máy đã giữ tin chưa; xem keng tin trước khi gửi lại: {1}", \
      "not known whether the node keeps the report, see keng status: {1}") \
    X(FAILED_REFUSED, "tin CHƯA được giữ: {1}", "the node could not keep the report: {1}") \
    X(REFUSED_AUTHOR, "máy này không có khoá của người gửi; chọn người bằng --as SỐ", \
      "this node has no key of the author; name one with --as NUMBER") \
    X(REFUSED_REVOKED, "xã đã thu hồi số của người gửi; hãy hỏi xã", \
      "the commune has taken the author's number back; ask the commune") \
    X(REFUSED_LONG, "tin quá dài; bớt chữ hoặc chia thành hai tin", \
      "the report is too long; shorten it or make two") \
    X(REFUSED_FULL, "bộ nhớ tin của máy đã đầy", "the node's store is full") \
    X(REFUSED_DISK, "không ghi được vào đĩa của máy; kiểm tra chỗ trống, thẻ nhớ", \
      "the node's disk cannot be written; check its space and card") \
    X(REFUSED_BEHIND, "máy đang nhận lại tin cũ của người gửi từ hàng xóm; lát nữa gửi lại", \
      "the node is fetching older reports of this author from neighbours; wait and file again") \
    X(REFUSED_BUSY, "máy đang bận; gửi lại sau", "the node is busy; file again later") \
    X(FAILED_READ, "không đọc được '{1}': {2}", "cannot read '{1}': {2}") \
    X(FAILED_WRITE, "không ghi được '{1}': {2}", "cannot write '{1}': {2}") \
    X(FAILED_DATA, "không đọc được danh mục: {1}; dùng --data THƯ-MỤC", \
      "cannot read the catalogue: {1}; use --data DIR") \
    X(FAILED_ANSWER, "không hiểu kengd trả lời; keng và kengd có cùng phiên bản không?", \
      "kengd's answer makes no sense; do keng and kengd match?") \
    X(FAILED_MEMORY, "hết bộ nhớ", "out of memory") \
    X(FAILED_IMPORT, "một số tin không nạp được, xem các số ở trên", \
      "some records were not taken, see the counts above") \
    X(FAILED_BATCH_SIG, "'{1}': chữ ký của tệp không đúng; chỉ nhận từng tin có chữ ký đúng", \
      "'{1}': the file's signature does not hold; only records with good signatures are taken") \
    X(FAILED_LOST, "mất liên lạc với kengd, đang nối lại: {1}", "lost kengd, trying again: {1}") \
    /* answers */ \
    X(KEPT, "Máy đã giữ tin số {1} ({2} byte khi phát). Xem tin đi đến đâu: keng tin", \
      "The node keeps report {1} ({2} bytes on air). How far it has come: keng status") \
    X(KEPT_SHORT, "Máy đã giữ tin số {1} ({2} byte khi phát)", \
      "The node keeps report {1} ({2} bytes on air)") \
    X(DRY_RUN, "Tin hợp lệ, {1} byte khi phát. Chưa gửi gì.", \
      "The report is valid, {1} bytes on air. Nothing was stored.") \
    X(DESK_MADE, "Đã lập bộ khoá gốc của {1} ({2}) ở {3}.", \
      "The key desk of {1} ({2}) is in {3}.") \
    X(DESK_FINGERPRINT, "Dấu vân tay của mạng: {1}", "Fingerprint of the network: {1}") \
    X(DESK_KEEP, "Cất {1} ở nơi kín, không nối mạng. Ai có tệp này là có quyền của xã.", \
      "Keep {1} locked away and offline. Who has it speaks for the commune.") \
    X(DESK_RADIO, "Sóng: {1} MHz, băng thông {2} kHz, SF{3}, 4/{4}, {5} dBm EIRP", \
      "Radio: {1} MHz, bandwidth {2} kHz, SF{3}, 4/{4}, {5} dBm EIRP") \
    X(PROFILE_HEAD, "{1} ({2}): thông số của xã, bản ghi {3} của khoá gốc", \
      "{1} ({2}): the commune's profile, record {3} of its root") \
    X(PROFILE_BAND, \
      "  {1}: {2} đến {3} MHz, tối đa {4} dBm ERP; trong {7} phút máy phát {5} %, trạm xã {6} %", \
      "  {1}: {2} to {3} MHz, at most {4} dBm ERP; in {7} minutes a node {5} %, a gateway {6} %") \
    X(PROFILE_DWELL, "    mỗi lần phát không quá {1} ms", \
      "    no transmission longer than {1} ms") \
    X(PROFILE_SIGNED, "Đã ký. Nạp {1} vào một máy: keng import; thông số tự lan theo sóng.", \
      "Signed. Feed {1} to a node: keng import; it spreads over the air.") \
    X(PROFILE_RESTART, \
      "Máy nhận được vẫn dùng thông số cũ. Mọi máy nhận rồi thì khởi động lại, máy xa trước.", \
      "Nodes go on as before. When all have it, restart kengd at each, the farthest first.") \
    X(PROFILE_SAME, "Không có gì thay đổi, không ký.", \
      "Nothing is different, nothing was signed.") \
    X(PROFILE_DRY, "Đúng quy định. Chưa ký.", "It is lawful. Nothing was signed.") \
    X(ENROLLED, "Đã cấp số {1} cho {2} ({3}). Chép thư mục {4} vào máy.", \
      "Number {1} is {2} ({3}). Copy {4} to the box.") \
    X(ENROLLED_BEFORE, "Số {1} đã cấp cho {2} từ trước; đã làm mới {4}.", \
      "Number {1} was {2} already; {4} is up to date.") \
    X(REVOKED, "Đã thu hồi số {1} ({2}) sau tin {3}. Nạp {4} vào một máy: keng import", \
      "Number {1} ({2}) is revoked after record {3}. Feed {4} to a node: keng import") \
    X(CERT_MADE, "Đã cấp chứng thư ở {1}. Dấu vân tay: {2}", \
      "The certificate is in {1}. Fingerprint: {2}") \
    X(IMPORTED, "{1}: {2} tin", "{1}: {2} records") \
    X(NO_REPORTS, "Chưa có tin nào của máy này.", "This node has no reports of its own yet.") \
    X(NO_MESSAGES, "Chưa có tin nào đến.", "Nothing has arrived yet.") \
    X(STATE_STORED, "Máy đã giữ tin – chờ phát", "Kept here – waiting for the air") \
    X(STATE_CARRIED, "Đã phát – {1} đã giữ hộ", "On its way – carried by {1}") \
    X(STATE_RECEIVED, "Xã đã nhận ({1})", "Received by the commune ({1})") \
    X(STATE_WAITING, "chưa có hồi báo, máy vẫn đang gửi lại ({1})", \
      "no answer yet, the node keeps sending ({1})") \
    X(STATE_ADVICE, "lâu chưa có hồi báo: thử đưa máy lên chỗ cao, thoáng", \
      "no answer for long: try the box on high, open ground") \
    X(REVIEW_SEEN, "Xã đã xem", "Seen by the commune") \
    X(REVIEW_QUESTION, "Xã cần hỏi lại", "The commune has a question") \
    X(REVIEW_APPROVED, "Xã đã duyệt", "Approved by the commune") \
    X(REVIEW_REJECTED, "Xã không duyệt", "Not approved by the commune") \
    X(REVIEW_MET, "Xã đã đáp ứng", "The commune has met it") \
    X(REVIEW_CORRECTED, "Xã đã sửa", "Corrected by the commune") \
    X(REVIEW_JOINED, "Xã đã gộp với tin khác", "Joined with another report by the commune") \
    X(ANSWER_FIGURE, "{1}: {2} → {3}", "{1}: {2} → {3}") \
    X(ANSWER_UNKNOWN, "không rõ", "not known") \
    X(ANSWER_VILLAGE, "thôn: {1} → {2}", "village: {1} → {2}") \
    X(ANSWER_SAME, "cùng một việc với tin {1}", "the same as report {1}") \
    X(DIRECTIVE_TO, "gửi: {1}", "to: {1}") \
    X(DIRECTIVE_ALL, "cả xã", "the whole commune") \
    X(DIRECTIVE_UNTIL, "có hiệu lực đến {1}", "in force until {1}") \
    X(DIRECTIVE_OVER, "đã hết hiệu lực lúc {1}", "no longer in force since {1}") \
    X(DIRECTIVE_CONFIRM, "đọc xong hãy báo xã: keng da-doc {1}", \
      "when read, tell the commune: keng confirm {1}") \
    X(DIRECTIVE_CONFIRMED, "đã báo xã là đã đọc", "the commune was told that it was read") \
    X(CONFIRMED, "Đã ghi: chỉ đạo {1} đã đọc.", "Kept: directive {1} was read.") \
    X(NOTHING_TO_CONFIRM, "Không còn chỉ đạo nào chưa đọc.", "No directive is left to confirm.") \
    X(AGE_NOW, "vừa xong", "just now") \
    X(AGE_MIN, "{1} phút trước", "{1} min ago") \
    X(AGE_HOUR, "{1} giờ trước", "{1} h ago") \
    X(AGE_DAY, "{1} ngày trước", "{1} days ago") \
    X(AGE_CLOCK, "đồng hồ lệch", "clocks differ") \
    X(CLOCK_UNSURE, "giờ chưa chắc", "time not certain") \
    X(KIND_DAMAGE, "thiệt hại", "damage") \
    X(KIND_NEEDS, "nhu cầu", "needs") \
    X(KIND_EVACUATION, "sơ tán", "evacuation") \
    X(KIND_RESCUE, "CỨU NẠN", "RESCUE") \
    X(KIND_ACCESS, "đường, cô lập", "access") \
    X(KIND_SAFE, "an toàn", "safe") \
    X(KIND_NOTE, "ghi chú", "note") \
    X(KIND_ROSTER, "danh sách", "roster") \
    X(KIND_REVIEW, "trả lời", "answer") \
    X(KIND_DIRECTIVE, "CHỈ ĐẠO", "DIRECTIVE") \
    X(KIND_RECEIPT, "đã đọc", "receipt") \
    X(KIND_SIGNOFF, "ký duyệt báo cáo", "sign-off") \
    X(KIND_PROFILE, "thông số xã", "profile") \
    X(KIND_ACK, "xác nhận", "acknowledgement") \
    X(KIND_OTHER, "loại {1}", "kind {1}") \
    X(ROLE_MEMBER, "người báo tin", "member") \
    X(ROLE_NODE, "máy chuyển tiếp", "node") \
    X(ROLE_GATEWAY, "trạm xã", "gateway") \
    X(ROLE_OPERATOR, "trực ban xã", "operator") \
    X(AUTHOR_ROOT, "xã (khoá gốc)", "commune (root)") \
    X(AUTHOR_NUMBER, "số {1}", "number {1}") \
    X(INDICATOR_NUMBER, "chỉ tiêu {1} (không có trong danh mục)", \
      "indicator {1} (not in the catalogue)") \
    X(VILLAGE_NUMBER, "thôn {1}", "village {1}") \
    X(DRILL, "DIỄN TẬP", "DRILL") \
    X(HAZARD, "thiên tai: {1}", "hazard: {1}") \
    X(PLACE, "toạ độ: {1}", "place: {1}") \
    X(REVOKED_MARK, "đã thu hồi", "revoked") \
    X(LOCAL_MARK, "ở máy này", "here") \
    X(UNREADABLE, "(không đọc được nội dung)", "(content cannot be read)") \
    X(NODE_LINE, \
      "Máy {1}: {2} bản ghi, {3} máy lân cận, đã phát {4}/{5} giây trong giờ, modem: {6}", \
      "Node {1}: {2} records, {3} neighbours, {4}/{5} s of airtime used, modem: {6}") \
    X(MODEM_NONE, "chưa chọn cổng", "no port chosen") \
    X(MODEM_ABSENT, "không thấy, xem lại dây cắm", "not there, check the cable") \
    X(MODEM_CONFIGURING, "đang cài đặt", "being set up") \
    X(MODEM_READY, "tốt", "ready") \
    X(MODEM_SILENT, "không trả lời", "does not answer") \
    X(MODEM_UNLAWFUL, "không phát vì trái quy định", "not sending: unlawful") \
    X(MODEM_OTHER, "không rõ", "unknown") \
    X(MODEM_OTHER_STATE, "  modem {1}: {2}", "  modem {1}: {2}") \
    X(MODEM_SAYS, "  modem: {1}", "  modem: {1}") \
    X(MODEM_HEAD, "{1} ({2}): {3}", "{1} ({2}): {3}") \
    X(MODEM_RADIO, "  {1} MHz, {2} kHz, SF{3}, 4/{4}, {5} dBm tại bộ đàm, {6}", \
      "  {1} MHz, {2} kHz, SF{3}, 4/{4}, {5} dBm at the modem, {6}") \
    X(MODEM_CLOSED, "  {1} MHz, rộng nhất {2} kHz, {5} dBm tại bộ đàm, {6}", \
      "  {1} MHz, at most {2} kHz wide, {5} dBm at the modem, {6}") \
    X(MODEM_VERIFIED, "  đã đọc lại, đúng như đã ghi", "  read back, as written") \
    X(MODEM_UNVERIFIED, "  chưa đọc lại được", "  not read back") \
    X(MODEM_FRAME, "  khung dài nhất {1} byte, {2} giây", "  longest frame {1} bytes, {2} s") \
    X(MODEM_AIRTIME, "  đã phát {1} giây, được phép {2} giây mỗi {3} phút", \
      "  sent for {1} s, {2} s allowed in any {3} minutes") \
    X(NO_PORTS, "không có cổng nối tiếp nào", "there is no serial port") \
    X(PROBE_FOUND, "{1}: {2}, {3} baud; trong kengd.conf: driver = \"{4}\"", \
      "{1}: {2}, {3} baud; in kengd.conf: driver = \"{4}\"") \
    X(PROBE_KIND, "{1}: {2}, {3} baud; chưa biết dùng driver nào", \
      "{1}: {2}, {3} baud; which driver is not known") \
    X(PROBE_SILENT, "{1}: chỉ nghe thì chưa nhận ra (nghe được: {2}); hỏi bằng --ask, --wires", \
      "{1}: not recognised by listening (heard: {2}); ask with --ask, or with --wires") \
    X(PROBE_UNKNOWN, "{1}: không nhận ra (nghe được: {2})", "{1}: not recognised (heard: {2})") \
    X(TEST_HEARD, "nghe được {2}/{3} khung của máy {1} ({4} %), mỗi khung {5} ms", \
      "heard {2} of {3} frames of node {1} ({4} %), {5} ms each") \
    X(TEST_SIGNAL, "RSSI trung bình {1} dBm, yếu nhất {2} dBm; SNR trung bình {3} dB", \
      "RSSI {1} dBm on average, {2} dBm at worst; SNR {3} dB on average") \
    X(TEST_SENT, "đã phát {1} khung, {2} không rõ kết quả, tốn {3} giây thời gian phát", \
      "sent {1} frames, {2} of them not for sure, for {3} s of airtime") \
    X(TEST_NOTHING, "không nghe được máy {1}; ở máy kia cũng phải chạy keng modem test", \
      "nothing was heard of node {1}; is keng modem test running there too?") \
    X(SETUP_AIRTIME, "  {1} byte mất {2} ms", "  {1} bytes take {2} ms") \
    X(SETUP_REACH, "  {1} km với suy hao {2} dB: còn dư {3} dB", \
      "  {1} km with a loss of {2} dB: {3} dB to spare") \
    X(SETUP_ALONE, "  khác với thông số của xã: chỉ nghe được máy cài giống như vậy", \
      "  not as in the commune's profile: hears only modems that are set up like it") \
    X(SETUP_TOO_FAR, "không có thông số nào đúng quy định đạt {1} km (suy hao {2} dB)", \
      "no lawful setting reaches {1} km (a loss of {2} dB)") \
    X(SETUP_NOT_WRITTEN, "chưa ghi; thêm --write để ghi", "nothing was written; --write does it") \
    X(SETUP_WRITTEN, "đã ghi {1}; khởi động lại kengd", "written to {1}; restart kengd") \
    X(FAILED_CONF_FORM, "{1}: không tự sửa được tệp viết như thế, hãy sửa bằng tay", \
      "{1} is written in a way that cannot be changed here: edit it by hand") \
    X(FAILED_OLD_PROFILE, "xã đã ký thông số mới hơn: chép commune.keng của bộ khoá gốc vào {1}", \
      "the commune signed a newer profile: copy the key desk's commune.keng into {1}") \
    X(FAILED_NO_LAW, \
      "commune.keng chưa có quy định tần số; ở bộ khoá gốc: keng profile --region", \
      "commune.keng states no law for its region; at the key desk: keng profile --region") \
    X(STORE_FAILING, "Không ghi được vào bộ nhớ: {1}", "The store cannot be written: {1}") \
    X(INDICATORS, "Chỉ tiêu của '{1}' (bản {2}): TÊN, nghĩa, [đơn vị hoặc trạng thái]", \
      "Indicators of '{1}' (version {2}): NAME - meaning [unit]") \
    X(HAZARDS, "Loại thiên tai (--thien-tai):", "Hazards (--hazard):") \
    X(NO_INDICATORS, "Loại '{1}' chỉ có lời nhắn: keng bao {1} nước lên nhanh", \
      "'{1}' takes words only: keng report {1} water is rising")

enum keng_text_id {
#define KENG_TEXT_ID(name, vi, en) TEXT_##name,
    KENG_TEXTS(KENG_TEXT_ID)
#undef KENG_TEXT_ID
    TEXT_COUNT
};

/* The template itself, for texts without arguments. */
const char *text_get(enum keng_lang lang, enum keng_text_id id);

/* Puts args (ended by NULL) into a template.  Returns the whole length as snprintf() does. */
size_t text_fill(const char *template, const char *const *args, char *buf, size_t cap);

/* The language that an environment asks for: KENG_LANG alone where it is set, otherwise Vietnamese
 * if any of LC_ALL, LC_MESSAGES, LANG and LANGUAGE names it, otherwise English. */
enum keng_lang text_lang_find(const char *(*lookup)(void *ctx, const char *name), void *ctx);

#endif
