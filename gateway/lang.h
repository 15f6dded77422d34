/* lang.h - every sentence the console and the province tool say, in Vietnamese and English.
 *
 * English is the source and stands here; other languages are gettext catalogues in gateway/po/,
 * compiled by msgfmt and linked in.  They are looked up here and not by libintl, because its
 * locale belongs to the process and two readers are served at once, and because it needs the
 * locale to be installed.  `make po` merges new texts into the catalogues.  Texts hold no markup
 * and no conversion specifications; {1} to {9} stand for names and numbers, so that a language may
 * order them as it needs.  What a catalogue lacks is shown in English.
 *
 * Source    GNU gettext manual, "The Format of GNU MO Files".
 */
#ifndef KENG_GATEWAY_LANG_H
#define KENG_GATEWAY_LANG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/lang_province.h"
#include "proto/catalogue.h"

enum language { LANG_VI, LANG_EN, LANG_COUNT };

#define LANG_TEXTS(X)                                                                              \
    X(ALL_COMMUNES, "All communes")                                                                \
    X(LIVE, "live")                                                                                \
    X(NOT_LIVE, "not live: press reload")                                                          \
    X(LOST, "connection lost, trying again")                                                       \
    X(PAGES, "Pages")                                                                              \
    X(LANGUAGE, "Language")                                                                        \
    X(GUIDE, "Guide")                                                                              \
    X(ON_THIS_PAGE, "On this page")                                                                \
    X(REPORTS, "Reports")                                                                          \
    X(WAITING, "waiting")                                                                          \
    X(IN_ALL, "in all")                                                                            \
    X(SEEN_OLDER, "Seen, with the older ones that it replaces")                                    \
    X(NEXT_START, "Answer one by one")                                                             \
    X(NEXT, "Next waiting report")                                                                 \
    X(NEXT_LATER, "Later; next one")                                                               \
    X(NEXT_NONE, "Nothing waits any more.")                                                        \
    X(NEXT_NONE_HERE, "Nothing waits any more of what you filtered by; other reports may.")        \
    X(NEXT_KEYS, "Keys: Alt and the number on the button; in Firefox Alt, Shift and the number.")  \
    X(NONE_YET, "No report matches yet.")                                                          \
    X(NOTHING_YET, "No report yet. New ones appear here by themselves.")                           \
    X(TOTALS, "Totals by village")                                                                 \
    X(TOTALS_SHORT, "Totals")                                                                      \
    X(TOTALS_RULE,                                                                                 \
      "Running totals: the newest report replaces older ones, nothing is added up. Drills "        \
      "and rejected reports do not count.")                                                        \
    X(NO_FIGURES, "No figures yet.")                                                               \
    X(VILLAGE, "Village")                                                                          \
    X(VILLAGES, "villages")                                                                        \
    X(NO_VILLAGE, "No village")                                                                    \
    X(CATALOGUE, "Catalogue of indicators")                                                        \
    X(NOT_IN_CATALOGUE, "not in the catalogue")                                                    \
    X(INDICATOR, "Indicator")                                                                      \
    X(VALUE, "Value")                                                                              \
    X(SOURCE, "By report")                                                                         \
    X(DIFFER, "reports differ")                                                                    \
    X(EVENT, "Event")                                                                              \
    X(COMMUNE, "Commune")                                                                          \
    X(KIND, "Kind")                                                                                \
    X(ALL_VILLAGES, "All villages")                                                                \
    X(ALL_KINDS, "All kinds")                                                                      \
    X(FILTER, "Filter")                                                                            \
    X(MISSING, "Missing numbers")                                                                  \
    X(MISSING_NONE, "No number is missing.")                                                       \
    X(MISSING_RULE,                                                                                \
      "Reports that were filed and have not come here yet; the mesh is looking for them.")         \
    X(MISSING_MORE, "{1} more gaps are not listed here; all are counted under \"Boxes\".")         \
    X(FORKS, "Two records under one number")                                                       \
    X(FORKS_RULE,                                                                                  \
      "Same signature, same number, different content: both are kept as evidence. Ask the "        \
      "author: a box was restored from an old copy, or the key is in other hands.")                \
    X(FORK, "FORK")                                                                                \
    X(REVOKED, "KEY TAKEN BACK")                                                                   \
    X(REVOKED_RULE, "signed after the key was taken back: counts for nothing")                     \
    X(REFUSED, "Refused")                                                                          \
    X(SYNC, "Sent upward")                                                                         \
    X(SYNC_WAITING, "records waiting")                                                             \
    X(SYNC_LAST_OK, "last success")                                                                \
    X(SYNC_NEVER, "never yet")                                                                     \
    X(SYNC_NOW, "Send now")                                                                        \
    X(SYNC_REFUSED, "The receiver will not hold")                                                  \
    X(SYNC_NO_LINE, "No line to the receiver")                                                     \
    X(SYNC_UNSIGNED,                                                                               \
      "What answered is not our receiver: nobody signed it who may receive for this commune")      \
    X(SYNC_REFUSES, "The receiver refuses")                                                        \
    X(SYNC_RECEIVER_FAILS, "The receiver cannot store now")                                        \
    X(SYNC_LACKS_AUTHORS, "The receiver does not know some authors")                               \
    X(SYNC_OTHER_BATCH, "The receiver answered about another batch")                               \
    X(SYNC_NOTHING_DOWN, "Directives and answers do not come down from the receiver")              \
    X(SYNC_OWN_DISK, "The database here fails")                                                    \
    X(NODE, "Node")                                                                                \
    X(NODE_OFF, "NEW REPORTS DO NOT COME IN: no contact with the commune's box, trying again")     \
    X(NODE_LOOK, "Has the box power, does its program kengd run?")                                 \
    X(NODE_ON, "connected")                                                                        \
    X(NEIGHBOURS, "neighbours")                                                                    \
    X(AIRTIME, "airtime")                                                                          \
    X(HELD, "records")                                                                             \
    X(MODEM, "modem")                                                                              \
    X(RESCUE_WAITING, "RESCUE reports waiting")                                                    \
    X(MODEM_NONE, "no port chosen")                                                                \
    X(MODEM_ABSENT, "not there, check the cable")                                                  \
    X(MODEM_CONFIGURING, "being set up")                                                           \
    X(MODEM_READY, "ready")                                                                        \
    X(MODEM_SILENT, "does not answer")                                                             \
    X(RECEIVED, "received")                                                                        \
    X(CREATED, "written")                                                                          \
    X(CLOCK_UNSET, "time not certain")                                                             \
    X(SIGNED, "signature holds")                                                                   \
    X(UNREADABLE, "The body cannot be read")                                                       \
    X(DRILL, "DRILL")                                                                              \
    X(HAZARD, "Hazard")                                                                            \
    X(NOT_KNOWN, "not known")                                                                      \
    X(POSITION, "Position")                                                                        \
    X(REPLY, "Answer")                                                                             \
    X(REPLY_TEXT, "Short answer (optional)")                                                       \
    X(REVIEW_QUEUED, "on its way to the node")                                                     \
    X(STATE_WAITING, "Waiting")                                                                    \
    X(STATE_SEEN, "Seen")                                                                          \
    X(STATE_QUESTION, "Question")                                                                  \
    X(STATE_APPROVED, "Approved")                                                                  \
    X(STATE_REJECTED, "Rejected")                                                                  \
    X(STATE_MET, "Need met")                                                                       \
    X(STATE_CORRECTED, "Corrected")                                                                \
    X(STATE_JOINED, "Joined")                                                                      \
    X(DO_ASK, "Ask")                                                                               \
    X(DO_APPROVE, "Approve")                                                                       \
    X(DO_REJECT, "Reject")                                                                         \
    X(PRIORITY_ROUTINE, "Routine")                                                                 \
    X(PRIORITY_DAMAGE, "Medium")                                                                   \
    X(PRIORITY_EVACUATION, "HIGH")                                                                 \
    X(PRIORITY_RESCUE, "URGENT")                                                                   \
    X(KIND_DAMAGE, "Damage")                                                                       \
    X(KIND_NEEDS, "Needs")                                                                         \
    X(KIND_EVACUATION, "Evacuation")                                                               \
    X(KIND_RESCUE, "Rescue")                                                                       \
    X(KIND_ACCESS, "Access")                                                                       \
    X(KIND_SAFE, "All safe")                                                                       \
    X(KIND_NOTE, "Note")                                                                           \
    X(ROLE_ROOT, "commune root")                                                                   \
    X(ROLE_MEMBER, "member")                                                                       \
    X(ROLE_NODE, "node")                                                                           \
    X(ROLE_GATEWAY, "gateway")                                                                     \
    X(ROLE_OPERATOR, "operator")                                                                   \
    X(NEWEST, "Newest")                                                                            \
    X(STATE, "State")                                                                              \
    X(ALL_STATES, "Any state")                                                                     \
    X(PRIORITY, "Priority")                                                                        \
    X(ALL_PRIORITIES, "Any priority")                                                              \
    X(TIME, "Received within")                                                                     \
    X(ALL_TIMES, "Ever")                                                                           \
    X(HOURS, "hours")                                                                              \
    X(MINUTES, "min")                                                                              \
    X(WORDS, "Words")                                                                              \
    X(OPEN, "Open")                                                                                \
    X(UNSEEN, "for {1} min nobody has looked")                                                     \
    X(VIA_NODE, "by radio")                                                                        \
    X(VIA_WIRE, "by network")                                                                      \
    X(VIA_FILE, "by file")                                                                         \
    X(ANSWERS, "Answers so far")                                                                   \
    X(ANSWERS_NONE, "Nobody has answered yet.")                                                    \
    X(PATH, "How far it has come")                                                                 \
    X(PATH_STORED, "stored in the village")                                                        \
    X(PATH_CARRIED, "carried")                                                                     \
    X(PATH_RECEIVED, "received by the commune")                                                    \
    X(PATH_READ, "read by the commune")                                                            \
    X(PATH_UNREAD, "not read yet")                                                                 \
    X(PATH_ABOVE, "stored above")                                                                  \
    X(PATH_WAITS, "waits to go up")                                                                \
    X(PATH_REFUSED, "refused above")                                                               \
    X(CORRECT, "Correct figures or village")                                                       \
    X(CORRECT_RULE,                                                                                \
      "What the author wrote stays in his signed report; this stands in its place.")               \
    X(CORRECT_SIGNS,                                                                               \
      "0: there is none. ?: not known, as if the author had not said it.")                         \
    X(CORRECT_OUT,                                                                                 \
      "This report counts nowhere now (rejected or joined). Corrected, it counts again.")          \
    X(CORRECT_BACK, "Take all corrections back")                                                   \
    X(AUTHOR_SAYS, "Author")                                                                       \
    X(COUNTS_NOW, "Changed meanwhile; counts now")                                                 \
    X(KIN_NEWER, "The author's newer report says")                                                 \
    X(KIN_OLDER, "The author's report before was corrected")                                       \
    X(CORRECT_WHY, "Why (short)")                                                                  \
    X(JOIN, "The same as another report")                                                          \
    X(JOIN_DO, "Join")                                                                             \
    X(JOIN_OTHER, "Another number")                                                                \
    X(JOIN_NONE, "Nothing looks alike; number of the report that stays")                           \
    X(SAME_FIGURES, "same figures")                                                                \
    X(SAME_PLACE, "same place")                                                                    \
    X(SAME_WORDS, "same words")                                                                    \
    X(SAME_TIME, "at the same time")                                                               \
    X(ERR_UNCHANGED, "Nothing was changed.")                                                       \
    X(ERR_FIGURES, "A figure or village cannot be read.")                                          \
    X(ERR_JOIN, "There is no such report, or it is joined to another itself.")                     \
    X(ERR_REASON, "Say why it is rejected.")                                                       \
    X(ERR_OUTDATED,                                                                                \
      "Somebody answered meanwhile, see below. Nothing was sent; press again if it still "         \
      "holds.")                                                                                    \
    X(OLDER, "Older")                                                                              \
    X(LOGIN, "Log in")                                                                             \
    X(LOGOUT, "Log out")                                                                           \
    X(LOGIN_NAME, "Log-in name")                                                                   \
    X(OPERATOR, "Operator")                                                                        \
    X(PASSPHRASE, "Passphrase")                                                                    \
    X(LOGIN_FORGOT, "Passphrase forgotten: whoever administers the console sets a new one.")       \
    X(LOGIN_WRONG, "Wrong name or passphrase.")                                                    \
    X(LOGIN_LATER, "Too many tries. Wait a minute and try again.")                                 \
    X(DIRECTIVES, "Directives")                                                                    \
    X(DIRECTIVES_SENT, "Sent")                                                                     \
    X(DIRECTIVES_NONE, "No directive yet.")                                                        \
    X(COMMUNES_CHOOSE, "Choose the commune:")                                                      \
    X(DIRECTIVES_NO_NODE, "There is no node here that could send directives.")                     \
    X(DIRECTIVE_NEW, "New directive")                                                              \
    X(DIRECTIVE_TEXT, "Text, short: it goes by radio")                                             \
    X(DIRECTIVE_SEND, "Send")                                                                      \
    X(TEMPLATES, "Templates")                                                                      \
    X(TO_ALL, "everybody")                                                                         \
    X(SENT_TO, "To")                                                                               \
    X(SENT_AT, "sent")                                                                             \
    X(IS_DRILL, "This is a drill")                                                                 \
    X(PERSON, "Person")                                                                            \
    X(IN_FORCE, "In force for")                                                                    \
    X(FOR_EVER, "without end")                                                                     \
    X(IN_FORCE_UNTIL, "in force until")                                                            \
    X(OVER_SINCE, "no longer in force since")                                                      \
    X(ASK_RECEIPT, "Each box says when it has it (costs airtime)")                                 \
    X(READ_BY, "Read by")                                                                          \
    X(NOT_READ_BY, "Not confirmed by")                                                             \
    X(HELD_BY, "Has come to")                                                                      \
    X(SOUND_ON, "Bell: on")                                                                        \
    X(SOUND_OFF, "Bell: off")                                                                      \
    X(NODES, "Boxes")                                                                              \
    X(NODES_RULE,                                                                                  \
      "By the records that came here; a box that only relays writes few of its own.")              \
    X(LAST_HEARD, "Last heard")                                                                    \
    X(NEVER, "never")                                                                              \
    X(DAYS, "days")                                                                                \
    X(NEIGHBOURS_TITLE, "Heard by this node")                                                      \
    X(NEIGHBOURS_NONE, "No other box is heard. Look at modem and antenna.")                        \
    X(IN_SYNC, "up to date")                                                                       \
    X(SIGNAL, "Signal")                                                                            \
    X(SIGNAL_GOOD, "good")                                                                         \
    X(SIGNAL_FAIR, "fair")                                                                         \
    X(SIGNAL_WEAK, "weak")                                                                         \
    X(NOT_IN_SYNC, "not the same yet")                                                             \
    X(EVIDENCE, "record")                                                                          \
    X(PEOPLE, "People")                                                                            \
    X(PEOPLE_RULE,                                                                                 \
      "Nobody is ever deleted: who has left is switched off, and what he signed keeps his "        \
      "name.")                                                                                     \
    X(PEOPLE_NONE,                                                                                 \
      "No operator yet: whoever sits at this machine may do everything, and others cannot "        \
      "reach it. Add the first, who administers.")                                                 \
    X(NUMBER, "Number")                                                                            \
    X(NAME, "Name")                                                                                \
    X(ROLE, "Role")                                                                                \
    X(ROLE_VIEW, "views")                                                                          \
    X(ROLE_REVIEW, "reviews")                                                                      \
    X(ROLE_SIGN, "signs off")                                                                      \
    X(ROLE_ADMIN, "administers")                                                                   \
    X(SWITCHED_OFF, "switched off")                                                                \
    X(AUDIT, "Audit trail")                                                                        \
    X(AUDIT_NONE, "Nothing yet.")                                                                  \
    X(AUDIT_BAD, "Entries that do not hold: the file was changed")                                 \
    X(DID_LOG_IN, "logged in")                                                                     \
    X(DID_FAIL_LOG_IN, "log-in refused")                                                           \
    X(DID_SIGN, "signed off")                                                                      \
    X(DID_EXPORT, "saved as a file")                                                               \
    X(DID_ADD, "operator added")                                                                   \
    X(DID_ROLE, "role changed")                                                                    \
    X(DID_PASSWD, "passphrase changed")                                                            \
    X(DID_OFF, "operator switched off")                                                            \
    X(DID_ON, "operator switched on")                                                              \
    X(AUDIT_WHEN, "When")                                                                          \
    X(AUDIT_WHO, "Who")                                                                            \
    X(AUDIT_WHAT, "What")                                                                          \
    X(ERR_ROLE, "Your role does not allow this. Ask whoever administers the console.")             \
    X(ERR_CSRF, "This page is out of date. Reload it and press again.")                            \
    X(ERR_HOST, "Unknown host name. Open by IP address, or name it with --host.")                  \
    X(ERR_NOT_FOUND, "There is no such page.")                                                     \
    X(ERR_METHOD, "This method does not work here.")                                               \
    X(ERR_TEXT, "The answer holds characters that cannot be sent, or is too long for the air.")    \
    X(ERR_DIRECTIVE_LONG,                                                                          \
      "This directive is too long for the air. Nothing was sent; make it shorter, or two of it.")  \
    X(ERR_DIRECTIVE_TEXT,                                                                          \
      "This directive is empty, or holds characters that cannot be sent. Nothing was sent.")       \
    X(ERR_DIRECTIVE_CLOCK,                                                                         \
      "This machine's clock was never set, so nobody knows when that would be. Nothing was sent; " \
      "set the clock, or choose \"without end\".")                                                 \
    X(ERR_DIRECTIVE_CHOICE,                                                                        \
      "A choice of this form cannot be read. Nothing was sent; choose again.")                     \
    X(ERR_RECORD, "There is no such report.")                                                      \
    X(ERR_DISK, "Cannot write to the disk. Check it.")                                             \
    X(QUICK, "Quick report")                                                                       \
    X(QUICK_NUMBER, "no.")                                                                         \
    X(QUICK_DRAFT, "draft")                                                                        \
    X(QUICK_RECORD, "report")                                                                      \
    X(QUICK_CODE, "Code")                                                                          \
    X(QUICK_UNIT, "Unit")                                                                          \
    X(QUICK_BEFORE, "Report before")                                                               \
    X(QUICK_CHANGE, "Change")                                                                      \
    X(QUICK_CHANGE_SINCE, "Change since report no. {1}")                                           \
    X(QUICK_FRESH, "new")                                                                          \
    X(QUICK_WITHDRAWN, "no longer counted")                                                        \
    X(QUICK_UNTIL, "As of")                                                                        \
    X(QUICK_COMMUNE_CODE, "Commune code")                                                          \
    X(SHEET_SUMS, "Sums")                                                                          \
    X(SHEET_FINDINGS, "To look at")                                                                \
    X(SHEET_MADE, "How it was made")                                                               \
    X(FINDING, "Finding")                                                                          \
    X(IN_WORDS, "In words")                                                                        \
    X(LOWEST, "Lowest said")                                                                       \
    X(HIGHEST, "Highest said")                                                                     \
    X(QUICK_LAT, "Latitude")                                                                       \
    X(QUICK_LON, "Longitude")                                                                      \
    X(QUICK_COURSE, "Course (time, strength, area, depth of water)")                               \
    X(QUICK_ISOLATED, "Isolated places")                                                           \
    X(QUICK_RESPONSE, "Command and response")                                                      \
    X(QUICK_WANTS, "Proposals and requests")                                                       \
    X(QUICK_SIGNER, "Signed off by")                                                               \
    X(QUICK_UNCHANGED, "No new damage since the report before.")                                   \
    X(QUICK_PERIOD, "Period")                                                                      \
    X(QUICK_NEW, "New quick report")                                                               \
    X(QUICK_CONTINUE, "Go on with the draft")                                                      \
    X(QUICK_SAVE, "Save and look")                                                                 \
    X(QUICK_SIGN, "Sign off")                                                                      \
    X(QUICK_SIGN_RULE,                                                                             \
      "Once signed it never changes again; the next report tells what is new. The "                \
      "signature goes into the mesh as a record.")                                                 \
    X(QUICK_SAVED, "Signed and drafts")                                                            \
    X(QUICK_NONE, "No quick report yet.")                                                          \
    X(QUICK_EXPORT, "Save as")                                                                     \
    X(AS_XLSX, "Excel (xlsx)")                                                                     \
    X(AS_CSV, "table (CSV)")                                                                       \
    X(AS_HXL, "relief data (HXL)")                                                                 \
    X(AS_GEOJSON, "map (GeoJSON)")                                                                 \
    X(AS_TXT, "message (txt)")                                                                     \
    X(QUICK_FROM, "From")                                                                          \
    X(QUICK_TO, "Until")                                                                           \
    X(QUICK_FROM_TO, "From {1} to {2} (Vietnam time, UTC+7)")                                      \
    X(QUICK_FIGURES, "Figures")                                                                    \
    X(QUICK_APPENDIX, "Figures by village")                                                        \
    X(QUICK_LEFT_OUT, "{1} reports nobody has looked at yet; only approved ones count here.")      \
    X(QUICK_CHAT, "Text to paste into Zalo or a message")                                          \
    X(COPY, "Copy")                                                                                \
    X(COPIED, "Copied")                                                                            \
    X(PAPER_OFFICE, "People's Committee of {1}")                                                   \
    X(PAPER_COMMAND, "Civil Defence Command")                                                      \
    X(PAPER_NUMBER, "No. ........../BC-BCH")                                                       \
    X(PAPER_STATE, "Socialist Republic of Viet Nam")                                               \
    X(PAPER_MOTTO, "Independence - Freedom - Happiness")                                           \
    X(PAPER_DATED, "{1}, {4}-{3}-{2}")                                                             \
    X(PAPER_TITLE, "on the natural disaster and its damage")                                       \
    X(PAPER_DRILL, "DRILL: these figures are not real")                                            \
    X(PAPER_DRAFT, "DRAFT: not signed off yet")                                                    \
    X(PAPER_TO, "To:")                                                                             \
    X(PAPER_TO_WHOM, "........................")                                                   \
    X(PAPER_ON_BEHALF, "On behalf of the command")                                                 \
    X(PAPER_SIGN_HERE, "(signature, name, seal)")                                                  \
    X(BASIS_RECEIVED, "all that came in")                                                          \
    X(BASIS_APPROVED, "only what is approved")                                                     \
    X(BASIS, "Figures from")                                                                       \
    X(AS_OF, "As of (empty: now)")                                                                 \
    X(COURSE, "Course of the event")                                                               \
    X(BOOKS, "The province's books")                                                               \
    X(DRILLS_ONLY, "Drills only")                                                                  \
    X(TOTALS_SHOW, "Show")                                                                         \
    X(STANDING, "In the total")                                                                    \
    X(STAND_COUNTS, "counts")                                                                      \
    X(STAND_DIFFERS, "another author's came later")                                                \
    X(STAND_OLDER, "replaced by a newer one")                                                      \
    X(STAND_OUT, "does not count")                                                                 \
    X(FIGURE_SOURCES, "The signed reports behind a figure")                                        \
    X(QUICK_FREE_NAME, "Name of whoever signs")                                                    \
    X(ERR_QUICK, "There is no such quick report.")                                                 \
    X(ERR_QUICK_SIGNED, "This one is signed already and stays as it is.")                          \
    X(ERR_QUICK_SIGNED_SINCE,                                                                      \
      "This one was signed after you opened it, and stays as it is. Nothing was saved; what you "  \
      "wrote is in the form: saving it makes a new draft.")                                        \
    X(ERR_QUICK_OUTDATED,                                                                          \
      "Somebody saved this draft after you opened it. Nothing was overwritten: what you wrote is " \
      "in the form, what is saved stands below it. Put together what shall hold, then save.")      \
    X(ERR_QUICK_UNREAD,                                                                            \
      "This draft has changed since you opened it. Nothing was signed: read it again, then sign.") \
    X(ERR_QUICK_SIGNER, "Write the name of whoever signs, in short. Nothing was signed.")          \
    X(QUICK_STORED, "What is saved now")                                                           \
    X(ERR_QUICK_FIELDS, "A time cannot be read or lies in the future, or a text is too long or "   \
                        "has characters that cannot be used.")                                     \
    X(ERR_QUICK_NO_NODE, "There is no node here that could carry the signature.")                  \
    X(CAP, "Take over an alert (CAP 1.2)")                                                         \
    X(CAP_RULE,                                                                                    \
      "Paste the alert as XML. It fills in a directive; nothing is sent before you read it "       \
      "and press send.")                                                                           \
    X(CAP_XML, "Alert, XML")                                                                       \
    X(CAP_READ, "Read")                                                                            \
    X(CAP_BAD, "This alert cannot be taken over")                                                  \
    X(CAP_BAD_DO, "Copy the whole text again, or write it as a directive.")                        \
    X(CAP_AS, "as an alert (CAP 1.2)")                                                             \
    X(CAP_FROM, "Alert of")                                                                        \
    X(CAP_IMMEDIATE, "Immediate")                                                                  \
    X(CAP_EXPECTED, "Expected")                                                                    \
    X(CAP_FUTURE, "Future")                                                                        \
    X(CAP_PAST, "Past")                                                                            \
    X(CAP_EXTREME, "Extreme")                                                                      \
    X(CAP_SEVERE, "Severe")                                                                        \
    X(CAP_MODERATE, "Moderate")                                                                    \
    X(CAP_MINOR, "Minor")                                                                          \
    X(CAP_OBSERVED, "Observed")                                                                    \
    X(CAP_LIKELY, "Likely")                                                                        \
    X(CAP_POSSIBLE, "Possible")                                                                    \
    X(CAP_UNLIKELY, "Unlikely")                                                                    \
    X(CAP_UNKNOWN, "Unknown")                                                                      \
    X(MAP, "Map")                                                                                  \
    X(HOUSEHOLDS, "households")                                                                    \
    X(PERSONS, "people")                                                                           \
    X(MAP_LIST, "Everything on the map")                                                           \
    X(MAP_NO_SCRIPT, "The map needs a script; the list below has everything that is on it.")       \
    X(MAP_PLACE, "Place")                                                                          \
    X(MAP_WHAT, "Point")                                                                           \
    X(MAP_BOX, "Box")                                                                              \
    X(MAP_LINK, "hear each other")                                                                 \
    X(MAP_NONE, "No place is known yet: village lists and reports may carry positions.")           \
    X(BACK, "Back to the console")                                                                 \
    X(FAULT_LOGIN, "A login has 1 to 32 of a-z 0-9 . _ -")                                         \
    X(FAULT_NAME, "A name is one line of 1 to 63 bytes.")                                          \
    X(FAULT_ROLE, "A role is view, review, sign or admin.")                                        \
    X(FAULT_PASSPHRASE, "A passphrase has 12 to 256 bytes: use four or more words.")               \
    X(FAULT_TAKEN, "There is an operator of that login already.")                                  \
    X(FAULT_FULL, "There are as many operators as this gateway keeps.")                            \
    X(FAULT_UNKNOWN, "There is no such operator: see `keng-gateway operator list`")                \
    X(FAULT_NO_ADMIN, "Nobody would be left to administer; make another admin first.")             \
    X(FAULT_NOT_KEPT, "Cannot write to the disk. Check it.")                                       \
    X(FAULT_OWN_PASSPHRASE, "Your own passphrase is not right.")                                   \
    X(OWN_PASSPHRASE, "Your own passphrase, as a check")                                           \
    X(OLD_PASSPHRASE, "Passphrase so far")                                                         \
    X(NEW_PASSPHRASE, "New passphrase: four or more words")                                        \
    X(NEW_PASSPHRASE_AGAIN, "New passphrase again")                                                \
    X(PASSPHRASES_DIFFER, "The two new passphrases are not the same.")                             \
    X(PASSPHRASE_CHANGE, "Change passphrase")                                                      \
    X(PASSPHRASE_CHANGE_RULE, "Ends all your sessions, also on other machines; log in anew.")      \
    X(ACCOUNT, "Your account")                                                                     \
    X(PEOPLE_ADD, "Add an operator")                                                               \
    X(PEOPLE_ADD_RULE,                                                                             \
      "Tell the person this first passphrase by word of mouth; each changes his own "              \
      "behind his name above.")                                                                    \
    X(PEOPLE_SWITCH, "Switch on or off")                                                           \
    X(PEOPLE_SET_ROLE, "Set role")                                                                 \
    X(PEOPLE_OFF, "Switch off")                                                                    \
    X(PEOPLE_ON, "Switch on")

enum lang_text {
#define LANG_ENUM(id, english) LANG_##id,
    LANG_TEXTS(LANG_ENUM)
    LANG_PROVINCE_TEXTS(LANG_ENUM)
#undef LANG_ENUM
    LANG_TEXT_COUNT,
};

/* What a program says to whoever runs it, in the language of the environment; format strings
 * too. */
const char *lang_said(const char *english) __attribute__((format_arg(1)));

const char *lang_text(enum language language, enum lang_text text);
/* With what stands for {1}, {2}, ...: lang_fill(LANG_EN, LANG_P_FROM, buf, sizeof buf,
 * LANG_WORD("2026")).  Returns buf; what does not fit is cut at a whole character. */
struct lang_arg {
    const char *word; /* NULL: the number */
    uint64_t number;
};
enum { LANG_ARG_COUNT_MAX = 9 };
#define LANG_WORD(text) ((struct lang_arg){ .word = (text) })
#define LANG_NUMBER(value) ((struct lang_arg){ .number = (uint64_t)(value) })
#define LANG_ARGS(...)                                                                             \
    (const struct lang_arg[]){ __VA_ARGS__ },                                                      \
        sizeof((const struct lang_arg[]){ __VA_ARGS__ }) / sizeof(struct lang_arg)
#define lang_fill(language, text, buf, cap, ...)                                                   \
    lang_fill_args(language, text, LANG_ARGS(__VA_ARGS__), buf, cap)
const char *lang_fill_args(enum language language, enum lang_text text,
                           const struct lang_arg *args, size_t count, char *buf, size_t cap);
/* The language that the environment asks for, see keng(1). */
enum language lang_of_environment(void);
/* "vi" or "en"; false if it is neither. */
bool lang_find(const char *code, enum language *language_out);
const char *lang_code(enum language language);
enum catalogue_language lang_catalogue(enum language language);

/* What an indicator is called; one that the catalogue lacks (item NULL) by kind and number. */
enum { LANG_ITEM_LEN = 192 };
const char *lang_item(enum language language, const struct catalogue_item *item, uint8_t kind,
                      uint32_t number, char buf[static LANG_ITEM_LEN]);

/* Words for numbers of the protocol.  An unknown kind has none (NULL). */
const char *lang_kind(enum language language, uint8_t kind);
const char *lang_priority(enum language language, uint8_t priority);
const char *lang_review(enum language language, uint8_t state);
const char *lang_role(enum language language, unsigned role);
/* A verdict on a record (gateway/ledger.h) by its number, and by its name: an unknown name is given
 * back as it is. */
const char *lang_verdict(enum language language, unsigned verdict);
const char *lang_verdict_named(enum language language, const char *name);
/* Why a batch was not taken: enum ledger_batch_err or enum batch_err. */
const char *lang_batch_error(enum language language, int err);

/* Local time in Vietnam (+07, no daylight saving): "14:05 22/11". */
enum { LANG_TIME_LEN = 32 };
void lang_time(int64_t unix_ms, char text_out[static LANG_TIME_LEN]);
/* With its year: "14:05 22/11/2026". */
void lang_time_full(int64_t unix_ms, char text_out[static LANG_TIME_LEN]);
/* "2026-11-22T07:05:00Z" */
void lang_time_utc(int64_t unix_ms, char text_out[static LANG_TIME_LEN]);

/* The same as a form's field has it, "2026-11-22T14:05", and back. */
void lang_time_local(int64_t unix_ms, char text_out[static LANG_TIME_LEN]);
bool lang_time_parse(const char *text, int64_t *unix_ms_out);

/* How many columns a terminal uses for UTF-8 text: combining marks take none. */
size_t lang_width(const char *text);

#endif
