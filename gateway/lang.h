/* lang.h - every sentence the console and the province tool say, in Vietnamese and English.
 *
 * Pure tables, keyed by number, chosen per request: a process-wide locale could not serve two
 * readers at once.  Texts hold no markup and no conversion specifications.
 */
#ifndef KENG_GATEWAY_LANG_H
#define KENG_GATEWAY_LANG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/catalogue.h"

enum language { LANG_VI, LANG_EN, LANG_COUNT };

#define LANG_TEXTS(X)                                                                             \
    X(ALL_COMMUNES, "Mọi xã", "All communes")                                                     \
    X(LIVE, "trực tiếp", "live")                                                                  \
    X(NOT_LIVE, "không trực tiếp: bấm tải lại", "not live: press reload")                         \
    X(LOST, "mất kết nối, đang nối lại", "connection lost, trying again")                         \
    X(REPORTS, "Tin báo", "Reports")                                                              \
    X(WAITING, "chờ xem", "waiting")                                                              \
    X(IN_ALL, "tất cả", "in all")                                                                 \
    X(NONE_YET, "Chưa có tin nào khớp.", "No report matches yet.")                                \
    X(NOTHING_YET, "Chưa có tin nào. Tin mới sẽ tự hiện ở đây.",                                  \
      "No report yet. New ones appear here by themselves.")                                       \
    X(TOTALS, "Tổng hợp theo thôn", "Totals by village")                                          \
    X(TOTALS_SHORT, "Tổng hợp", "Totals")                                                         \
    X(TOTALS_RULE, "Số lũy kế: tin mới nhất thay tin cũ, không cộng dồn. Không tính diễn tập và"  \
                   " tin bị từ chối.",                                                            \
      "Running totals: the newest report replaces older ones, nothing is added up. Drills and"    \
      " rejected reports do not count.")                                                          \
    X(NO_FIGURES, "Chưa có số liệu.", "No figures yet.")                                          \
    X(VILLAGE, "Thôn", "Village")                                                                 \
    X(VILLAGES, "thôn", "villages")                                                               \
    X(NO_VILLAGE, "Không rõ thôn", "No village")                                                  \
    X(INDICATOR, "Chỉ tiêu", "Indicator")                                                         \
    X(VALUE, "Số liệu", "Value")                                                                  \
    X(SOURCE, "Theo tin", "By report")                                                            \
    X(DIFFER, "các tin khác nhau", "reports differ")                                              \
    X(EVENT, "Đợt", "Event")                                                                      \
    X(COMMUNE, "Xã", "Commune")                                                                   \
    X(KIND, "Loại", "Kind")                                                                       \
    X(ALL_VILLAGES, "Mọi thôn", "All villages")                                                   \
    X(ALL_KINDS, "Mọi loại", "All kinds")                                                         \
    X(ONLY_WAITING, "Chỉ tin chờ xem", "Only waiting")                                            \
    X(FILTER, "Lọc", "Filter")                                                                    \
    X(MISSING, "Số còn thiếu", "Missing numbers")                                                 \
    X(MISSING_NONE, "Không thiếu số nào.", "No number is missing.")                               \
    X(MISSING_RULE, "Tin đã được gửi nhưng chưa đến được đây; mạng vẫn đang tìm.",                \
      "Reports that were filed and have not come here yet; the mesh is looking for them.")        \
    X(FORKS, "Hai tin trùng số", "Two records under one number")                                  \
    X(FORKS_RULE, "Cùng một chữ ký, cùng số, nội dung khác: giữ cả hai làm bằng chứng. Hãy hỏi"   \
      " lại người báo: máy bị khôi phục từ bản cũ, hoặc khoá đã lộ.",                             \
      "Same signature, same number, different content: both are kept as evidence. Ask"            \
      " the author: a box was restored from an old copy, or the key is in other hands.")          \
    X(FORK, "TRÙNG SỐ", "FORK")                                                                   \
    X(REFUSED, "Tin bị loại", "Refused")                                                          \
    X(SYNC, "Gửi lên trên", "Sent upward")                                                        \
    X(SYNC_WAITING, "tin chờ gửi", "records waiting")                                             \
    X(SYNC_LAST_OK, "lần cuối xong", "last success")                                              \
    X(SYNC_NEVER, "chưa lần nào", "never yet")                                                    \
    X(SYNC_NOW, "Gửi ngay", "Send now")                                                           \
    X(SYNC_REFUSED, "Nơi nhận không giữ", "The receiver will not hold")                           \
    X(NODE, "Trạm", "Node")                                                                       \
    X(NODE_OFF, "không nối được kengd: tin mới CHƯA vào được, đang thử lại",                      \
      "cannot reach kengd: NEW REPORTS DO NOT COME IN, trying again")                             \
    X(NODE_ON, "đang nối", "connected")                                                           \
    X(NEIGHBOURS, "máy lân cận", "neighbours")                                                    \
    X(AIRTIME, "thời gian phát", "airtime")                                                       \
    X(HELD, "bản ghi", "records")                                                                 \
    X(MODEM, "modem", "modem")                                                                    \
    X(RESCUE_WAITING, "tin CỨU NẠN chờ xem", "RESCUE reports waiting")                            \
    X(MODEM_NONE, "chưa chọn cổng", "no port chosen")                                             \
    X(MODEM_ABSENT, "không thấy, xem lại dây cắm", "not there, check the cable")                  \
    X(MODEM_CONFIGURING, "đang cài đặt", "being set up")                                          \
    X(MODEM_READY, "tốt", "ready")                                                                \
    X(MODEM_SILENT, "không trả lời", "does not answer")                                           \
    X(RECEIVED, "nhận", "received")                                                               \
    X(CREATED, "lập", "written")                                                                  \
    X(CLOCK_UNSET, "giờ chưa chắc", "time not certain")                                           \
    X(SIGNED, "chữ ký đúng", "signature holds")                                                   \
    X(UNREADABLE, "Không đọc được nội dung", "The body cannot be read")                           \
    X(DRILL, "DIỄN TẬP", "DRILL")                                                                 \
    X(HAZARD, "Thiên tai", "Hazard")                                                              \
    X(POSITION, "Vị trí", "Position")                                                             \
    X(REPLY, "Trả lời", "Answer")                                                                 \
    X(REPLY_TEXT, "Câu trả lời ngắn (không bắt buộc)", "Short answer (optional)")                 \
    X(REVIEW_QUEUED, "đang chuyển cho trạm", "on its way to the node")                            \
    X(REVIEW_BY, "bởi", "by")                                                                     \
    X(STATE_WAITING, "Chờ xem", "Waiting")                                                        \
    X(STATE_SEEN, "Đã xem", "Seen")                                                               \
    X(STATE_QUESTION, "Cần hỏi lại", "Question")                                                  \
    X(STATE_APPROVED, "Đã duyệt", "Approved")                                                     \
    X(STATE_REJECTED, "Từ chối", "Rejected")                                                      \
    X(STATE_MET, "Đã đáp ứng", "Need met")                                                        \
    X(PRIORITY_ROUTINE, "Thường", "Routine")                                                      \
    X(PRIORITY_DAMAGE, "Vừa", "Medium")                                                           \
    X(PRIORITY_EVACUATION, "GẤP", "HIGH")                                                         \
    X(PRIORITY_RESCUE, "KHẨN CẤP", "URGENT")                                                      \
    X(KIND_DAMAGE, "Thiệt hại", "Damage")                                                         \
    X(KIND_NEEDS, "Nhu cầu", "Needs")                                                             \
    X(KIND_EVACUATION, "Sơ tán", "Evacuation")                                                    \
    X(KIND_RESCUE, "Cứu nạn", "Rescue")                                                           \
    X(KIND_ACCESS, "Đường, chia cắt", "Access")                                                   \
    X(KIND_SAFE, "An toàn", "All safe")                                                           \
    X(KIND_NOTE, "Ghi chú", "Note")                                                               \
    X(ROLE_ROOT, "gốc của xã", "commune root")                                                    \
    X(ROLE_MEMBER, "người báo tin", "member")                                                     \
    X(ROLE_NODE, "máy chuyển tiếp", "node")                                                       \
    X(ROLE_GATEWAY, "trạm xã", "gateway")                                                         \
    X(ROLE_OPERATOR, "trực ban xã", "operator")                                                   \
    X(NEWER, "Mới hơn", "Newer")                                                                  \
    X(OLDER, "Cũ hơn", "Older")                                                                   \
    X(LOGIN, "Đăng nhập", "Log in")                                                               \
    X(LOGOUT, "Thoát", "Log out")                                                                 \
    X(PASSPHRASE, "Cụm mật khẩu của trực ban", "Operator's passphrase")                           \
    X(LOGIN_WRONG, "Sai mật khẩu, hoặc thử quá nhiều lần. Đợi một phút rồi thử lại.",             \
      "Wrong passphrase, or too many tries. Wait a minute and try again.")                        \
    X(ERR_CSRF, "Trang này đã cũ. Tải lại rồi bấm lại.",                                          \
      "This page is out of date. Reload it and press again.")                                     \
    X(ERR_HOST, "Tên máy chủ lạ. Mở bằng địa chỉ IP, hoặc khai tên bằng --host.",                 \
      "Unknown host name. Open by IP address, or name it with --host.")                           \
    X(ERR_NOT_FOUND, "Không có trang này.", "There is no such page.")                             \
    X(ERR_METHOD, "Cách gọi này không dùng được ở đây.", "This method does not work here.")       \
    X(ERR_TEXT, "Câu trả lời có ký tự không dùng được hoặc quá dài để phát.",                     \
      "The answer holds characters that cannot be sent, or is too long for the air.")             \
    X(ERR_RECORD, "Không có tin này.", "There is no such report.")                                \
    X(ERR_DISK, "Không ghi được vào kho. Kiểm tra đĩa.", "Cannot write to the disk. Check it.")   \
    X(BACK, "Về bảng tin", "Back to the console")

enum lang_text {
#define LANG_ENUM(id, vi, en) LANG_##id,
    LANG_TEXTS(LANG_ENUM)
#undef LANG_ENUM
    LANG_TEXT_COUNT,
};

const char *lang_text(enum language language, enum lang_text text);
/* "vi" or "en"; false if it is neither. */
bool lang_find(const char *code, enum language *language_out);
const char *lang_code(enum language language);
enum catalogue_language lang_catalogue(enum language language);

/* Words for numbers of the protocol.  An unknown kind has none (NULL). */
const char *lang_kind(enum language language, uint8_t kind);
const char *lang_priority(enum language language, uint8_t priority);
const char *lang_review(enum language language, uint8_t state);
const char *lang_role(enum language language, unsigned role);

/* Local time in Vietnam (+07, no daylight saving): "14:05 22/11". */
enum { LANG_TIME_LEN = 32 };
void lang_time(int64_t unix_ms, char text_out[static LANG_TIME_LEN]);

/* How many columns a terminal uses for UTF-8 text: combining marks take none. */
size_t lang_width(const char *text);

#endif
