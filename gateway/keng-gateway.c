/* keng-gateway: the operator's console, the way upward and the receiving end of it.
 *
 * One thread: one poll over the HTTP server, the node's socket, libcurl and signals.
 */
#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/alerts.h"
#include "gateway/bundle.h"
#include "gateway/console.h"
#include "gateway/demo_data.h"
#include "gateway/follow.h"
#include "gateway/http.h"
#include "gateway/map.h"
#include "gateway/outbox.h"
#include "gateway/people.h"
#include "gateway/receiver.h"
#include "gateway/units.h"

enum {
    EXIT_USAGE = 2,
    TRUST_COUNT_MAX = 64,
    MAP_COUNT_MAX = MAP_LAYER_COUNT_MAX + 1,
    HOST_COUNT_MAX = 16,
    PATH_LEN_MAX = 4096,
    LOOP_WAIT_MS_MAX = 60000,
    PEM_LEN_MAX = 64 * 1024,
};

struct options {
    const char *home, *socket, *db, *listen, *cert, *key, *push, *ca, *data, *villages;
    const char *out, *role, *name, *people, *code, *village;
    const char *trust[TRUST_COUNT_MAX];
    const char *as[TRUST_COUNT_MAX];
    const char *hosts[HOST_COUNT_MAX];
    const char *maps[MAP_COUNT_MAX];
    size_t trust_count, as_count, host_count, map_count;
    int64_t push_interval_ms;
    const char *links[OUTBOX_LINK_COUNT_MAX];
    size_t link_count;
    bool no_console;
};

struct option_row {
    int key;
    const char *name, *argument, *help;
};

/* Marks a text that lang_said() is asked for later. */
#define TR(english) english

/* One table for parsing and for --help. */
static const struct option_row OPTIONS[] = {
    { 'H', "home", "DIR", TR("a node's home: its commune, identity and kengd's socket") },
    { 's', "socket", "PATH", TR("kengd's socket (default: HOME/kengd.sock)") },
    { 'd', "db", "FILE", TR("the ledger: a file (default: HOME/gateway.db) or postgresql://...") },
    { 'l', "listen", "ADDR:PORT", TR("where to listen (default: 127.0.0.1:8080)") },
    { 'c', "tls-cert", "FILE", TR("certificate, PEM: then HTTPS only") },
    { 'k', "tls-key", "FILE", TR("its key, PEM") },
    { 'p', "push", "URL", TR("send everything upward to this receiver (needs --home)") },
    { 'a', "ca", "FILE", TR("certificate authority the receiver must have") },
    { 'L', "link", "NAME[,interface=IF][,proxy=URL]",
      TR("a way upward; may be repeated, best first") },
    { 'i', "push-interval-s", "N", TR("first wait after a failed push (default: 15)") },
    { 't', "trust", "FILE.keng", TR("receive this commune's records (may be repeated)") },
    { 'A', "as", "DIR", TR("answer communes with the keys of this home, or of all homes in it") },
    { 'n', "host", "NAME", TR("a name this server is reached by (may be repeated)") },
    { 'r', "no-console", NULL, TR("only receive batches, show no pages") },
    { 'D', "data", "DIR", TR("data files (default: $KENG_DATA, ./seeds, /usr/share/keng)") },
    { 'v', "villages", "FILE", TR("village names (default: HOME/villages.csv, else the demo's)") },
    { 'M', "map", "FILE",
      TR("tiles (.mbtiles) or outlines (GeoJSON) for the map; may be repeated") },
    { 'o', "out", "FILE", TR("for export: the file to write; for alerts: the directory") },
    { 'O', "people", "DIR", TR("operators and audit trail (default: HOME, or by the ledger)") },
    { 'R', "role", "ROLE", TR("for operator: view, review, sign or admin") },
    { 'N', "name", "NAME", TR("for operator: the person's name") },
    { 'C', "commune", "CODE", TR("for direct: the commune's code") },
    { 'V', "village", "N", TR("for direct: only this village (default: all)") },
    { 'h', "help", NULL, TR("this list") },
};
enum { OPTION_COUNT = sizeof OPTIONS / sizeof OPTIONS[0] };

static void print_help(void)
{
    static const struct { const char *form, *help; } FORMS[] = {
        { "--home DIR [OPTION]...", TR("console of a commune's node") },
        { "--db FILE --as DIR [OPTION]...", TR("receiver above communes") },
        { "direct --db FILE --as DIR --commune CODE TEXT", TR("a directive to a commune") },
        { "export --home DIR --out FILE", TR("all records as one batch file") },
        { "alerts --home DIR --out DIR", TR("directives as CAP 1.2 alerts") },
        { "demo-data --db FILE", TR("a training event, all drills") },
        { "operator add LOGIN --home DIR --role ROLE [--name NAME]", TR("adds an operator") },
        { "operator list|role|passwd|off|on ... --home DIR", TR("shows and changes operators") },
        { "audit --home DIR", TR("who did what; does it hold") },
    };
    printf("%s\n", lang_said("usage:"));
    for (size_t i = 0; i < sizeof FORMS / sizeof FORMS[0]; i++)
        printf("  keng-gateway %s\n      %s\n", FORMS[i].form, lang_said(FORMS[i].help));
    printf("\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", OPTIONS[i].name, OPTIONS[i].argument ? " " : "",
                 OPTIONS[i].argument ? OPTIONS[i].argument : "");
        printf("  %-24s %s\n", left, lang_said(OPTIONS[i].help));
    }
    printf("\n%s\n", lang_said("exit status: 0 ended on request, 1 failure, 2 wrong usage"));
}

__attribute__((format(printf, 1, 2)))
static int fail_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "keng-gateway: ");
    vfprintf(stderr, lang_said(format), args);
    fprintf(stderr, "\n");
    va_end(args);
    return EXIT_USAGE;
}

static int fail(const char *why)
{
    fprintf(stderr, "keng-gateway: %s\n", lang_said(why));
    return EXIT_FAILURE;
}

static const char **option_slot(struct options *o, int key)
{
    switch (key) {
    case 'H': return &o->home;
    case 's': return &o->socket;
    case 'd': return &o->db;
    case 'l': return &o->listen;
    case 'c': return &o->cert;
    case 'k': return &o->key;
    case 'p': return &o->push;
    case 'a': return &o->ca;
    case 'D': return &o->data;
    case 'v': return &o->villages;
    case 'o': return &o->out;
    case 'O': return &o->people;
    case 'R': return &o->role;
    case 'N': return &o->name;
    case 'C': return &o->code;
    case 'V': return &o->village;
    default: return NULL;
    }
}

/* 0, EXIT_USAGE, or -1 when help was printed. */
static int parse_options(int argc, char **argv, struct options *o)
{
    struct option longs[OPTION_COUNT + 1] = { { NULL, 0, NULL, 0 } };
    for (size_t i = 0; i < OPTION_COUNT; i++)
        longs[i] = (struct option){ OPTIONS[i].name, OPTIONS[i].argument ? required_argument
                                                                        : no_argument,
                                    NULL, OPTIONS[i].key };
    *o = (struct options){ .listen = "127.0.0.1:8080",
                           .push_interval_ms = OUTBOX_INTERVAL_S_DEFAULT * 1000 };
    int key;
    while ((key = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        const char **slot = option_slot(o, key);
        char *end;
        if (slot) {
            *slot = optarg;
        } else if (key == 'h') {
            print_help();
            return -1;
        } else if (key == 'r') {
            o->no_console = true;
        } else if (key == 't' && o->trust_count < TRUST_COUNT_MAX) {
            o->trust[o->trust_count++] = optarg;
        } else if (key == 'A' && o->as_count < TRUST_COUNT_MAX) {
            o->as[o->as_count++] = optarg;
        } else if (key == 'n' && o->host_count < HOST_COUNT_MAX) {
            o->hosts[o->host_count++] = optarg;
        } else if (key == 'i') {
            double value_s = strtod(optarg, &end);
            if (*optarg < '0' || *optarg > '9' || *end || !(value_s >= 0.01 && value_s <= 86400))
                return fail_usage("--push-interval-s %s: expected 0.01 to 86400", optarg);
            o->push_interval_ms = (int64_t)(value_s * 1000);
        } else if (key == 'L' && o->link_count < OUTBOX_LINK_COUNT_MAX) {
            o->links[o->link_count++] = optarg;
        } else if (key == 'M' && o->map_count < MAP_COUNT_MAX) {
            o->maps[o->map_count++] = optarg;
        } else if (key == 't' || key == 'A' || key == 'n' || key == 'L' || key == 'M') {
            return fail_usage("too many --trust, --as, --host, --link or --map; see keng-gateway "
                              "--help");
        } else {
            return fail_usage("see keng-gateway --help");
        }
    }
    return 0;
}

/* ---- clocks and files ---- */

static int64_t clock_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

static int64_t wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

/* A PEM file as heap text, or NULL with one line in err. */
static char *read_pem(const char *path, char err[static BUNDLE_ERR_LEN])
{
    uint8_t *bytes;
    size_t len;
    if (bundle_read(LANG_EN, path, &bytes, &len, err) != 0)
        return NULL;
    char *text = len > 0 && len < PEM_LEN_MAX ? malloc(len + 1) : NULL;
    if (text) {
        memcpy(text, bytes, len);
        text[len] = '\0';
    } else {
        snprintf(err, BUNDLE_ERR_LEN, lang_said("%s: this is no PEM file"), path);
    }
    sodium_memzero(bytes, len);
    free(bytes);
    return text;
}

static bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* ---- the program ---- */

struct gateway {
    struct options options;
    struct db *db;
    struct ledger ledger;
    struct receiver receiver;
    struct people people;
    struct catalogue *catalogue;
    struct villages *villages;
    struct templates templates;
    struct map map;
    struct follow follow;
    struct outbox outbox;
    struct console_node no_node;
    struct console_sync no_sync;
    struct console console;
    struct http_server *server;
    CURLM *multi;
    int signal_fd;
    bool has_node, has_outbox;
    bool queue_waits; /* without a node: what the console queued is to be written here */
    int64_t own_commune; /* by --home */
    int64_t told_arrival; /* open pages know of everything up to here */
    struct home_identity identities[HOME_IDENTITY_COUNT_MAX];
    int identity_count;
    char socket_path[PATH_LEN_MAX], db_path[PATH_LEN_MAX];
    bool stopping;
};

/* Above communes: the one that the page names, else the only one; 0: none that has a key for us. */
static int64_t chosen_commune(const struct gateway *g, const struct http_request *request)
{
    const char *named = http_form(request, "commune");
    int64_t id = console_number(named ? named : http_query(request, "commune"), INT32_MAX, 0);
    int64_t only = 0;
    size_t count = 0;
    for (size_t i = 0; i < g->ledger.commune_count; i++) {
        const struct ledger_commune *c = &g->ledger.communes[i];
        if (!keys_find(&g->receiver.keys, c))
            continue;
        if (c->info.id == id)
            return id;
        only = c->info.id;
        count++;
    }
    return count == 1 && id == 0 ? only : 0;
}

static void handle_request(void *ctx, const struct http_request *request,
                           struct http_answer *answer)
{
    struct gateway *g = ctx;
    if (receiver_handle(&g->receiver, request, wall_ms(), answer))
        return;
    /* A receiver may have learned of more communes since; the page's own one stays. */
    g->console.own_commune = g->has_node ? g->follow.commune : chosen_commune(g, request);
    g->console.villages = g->has_node || g->ledger.commune_count == 1 ? g->villages : NULL;
    console_handle(&g->console, request, now_ms(), answer);
}

static size_t put_len_max(void *ctx, const char *path)
{
    (void)ctx;
    return receiver_put_len_max(path);
}

static void on_outgoing_added(void *ctx)
{
    struct gateway *g = ctx;
    if (g->has_node)
        follow_kick(&g->follow);
    else
        g->queue_waits = true;
}

static void on_send_now(void *ctx)
{
    struct gateway *g = ctx;
    if (g->has_outbox)
        outbox_send_now(&g->outbox, now_ms());
}

/* Where names and indicators come from: the first place that has a catalogue. */
static int load_data(struct gateway *g, char err[static BUNDLE_ERR_LEN])
{
    const char *env = getenv("KENG_DATA");
    const char *places[] = { g->options.data, g->options.data ? NULL : env, "seeds",
                             "/usr/share/keng" };
    char path[PATH_LEN_MAX];
    for (size_t i = 0; i < sizeof places / sizeof places[0] && !g->catalogue; i++) {
        if (!places[i])
            continue;
        snprintf(path, sizeof path, "%s/catalogue", places[i]);
        if (!file_exists(path) && places[i] != g->options.data)
            continue;
        if (catalogue_load(path, &g->catalogue, err, BUNDLE_ERR_LEN) != 0)
            return -1;
        snprintf(path, sizeof path, "%s/catalogue/directives.csv", places[i]);
        if (file_exists(path) && templates_load(path, &g->templates, err) != 0)
            return -1;
        snprintf(path, sizeof path, "%s/demo/villages.csv", places[i]);
    }
    if (!g->catalogue)
        fprintf(stderr, "%s", lang_said("<4>keng-gateway: no catalogue found: indicators are shown "
                                        "as numbers; name it with --data\n"));
    if (g->options.villages)
        snprintf(path, sizeof path, "%s", g->options.villages);
    else if (g->options.home) {
        char at_home[PATH_LEN_MAX];
        snprintf(at_home, sizeof at_home, "%s/villages.csv", g->options.home);
        if (file_exists(at_home))
            snprintf(path, sizeof path, "%s", at_home);
    }
    if ((g->options.villages || (g->catalogue && file_exists(path))) &&
        villages_load(path, &g->villages, err, BUNDLE_ERR_LEN) != 0)
        return -1;
    return 0;
}

/* Opens the ledger and trusts what the options name. */
static int open_ledger(struct gateway *g, char err[static BUNDLE_ERR_LEN])
{
    const struct options *o = &g->options;
    char db_err[DB_ERR_LEN];
    if (o->db)
        snprintf(g->db_path, sizeof g->db_path, "%s", o->db);
    else
        snprintf(g->db_path, sizeof g->db_path, "%s/gateway.db", o->home);
    if (db_open(g->db_path, &g->db, db_err) != 0) {
        snprintf(err, BUNDLE_ERR_LEN, "%s", db_err);
        return -1;
    }
    if (ledger_init(&g->ledger, g->db) < 0 || ledger_index(&g->ledger) < 0) {
        snprintf(err, BUNDLE_ERR_LEN, "%s", db_error(g->db));
        return -1;
    }
    int64_t commune;
    for (size_t i = 0; i < o->trust_count; i++)
        if (bundle_trust(&g->ledger, LANG_EN, o->trust[i], wall_ms(), &commune, err) != 0)
            return -1;
    char path[PATH_LEN_MAX];
    if (o->home) {
        snprintf(path, sizeof path, "%s/commune.keng", o->home);
        if (bundle_trust(&g->ledger, LANG_EN, path, wall_ms(), &g->own_commune, err) != 0)
            return -1;
    }
    g->receiver.ledger = &g->ledger;
    for (size_t i = 0; i < o->as_count; i++)
        if (keys_add_homes(&g->receiver.keys, &g->ledger, o->as[i], wall_ms(), err) != 0)
            return -1;
    return 0;
}

/* The box's own keys answer those below. */
static void add_own_keys(struct gateway *g)
{
    char err[BUNDLE_ERR_LEN];
    const struct ledger_commune *own = ledger_get(&g->ledger, g->own_commune);
    if (own && keys_add(&g->receiver.keys, g->options.home, own->info.network_id, err) != 0)
        fprintf(stderr, "<4>keng-gateway: %s\n", err);
    /* Without a key it takes records and cannot say so: whoever sends goes on sending. */
    for (size_t i = 0; i < g->ledger.commune_count && g->options.trust_count > 0; i++) {
        const struct ledger_commune *c = &g->ledger.communes[i];
        if (!c->is_province && !keys_find(&g->receiver.keys, c))
            fprintf(stderr, lang_said("<4>keng-gateway: no key to answer %s with: the commune must "
                                      "enroll one, and --as name it\n"), units_name(c));
    }
}

/* Reads the identities of the home and picks the one that signs batches. */
static const struct home_identity *choose_identity(struct gateway *g,
                                                   char err[static BUNDLE_ERR_LEN])
{
    char home_err[HOME_ERR_LEN];
    const struct ledger_commune *c = ledger_get(&g->ledger, g->own_commune);
    g->identity_count = home_read_identities(g->options.home, g->identities, home_err);
    if (g->identity_count < 0) {
        snprintf(err, BUNDLE_ERR_LEN, "%s", home_err);
        return NULL;
    }
    const struct home_identity *identity =
        c ? bundle_choose_identity(&c->roster, g->identities, (size_t)g->identity_count) : NULL;
    if (!identity)
        snprintf(err, BUNDLE_ERR_LEN,
                 lang_said("%s: no identity there is in the commune's roster: enroll one with "
                           "`keng enroll`"), g->options.home);
    return identity;
}

static int start_outbox(struct gateway *g, char err[static BUNDLE_ERR_LEN])
{
    const struct options *o = &g->options;
    char why[OUTBOX_ERR_LEN];
    const struct home_identity *identity = choose_identity(g, err);
    if (!identity)
        return -1;
    if (o->ca && !file_exists(o->ca)) {
        snprintf(err, BUNDLE_ERR_LEN, "--ca %s: %s", o->ca, strerror(errno));
        return -1;
    }
    if (outbox_init(&g->outbox, &g->ledger, g->multi, o->push, o->ca, identity, g->own_commune,
                    o->push_interval_ms, why) != 0) {
        snprintf(err, BUNDLE_ERR_LEN, "%s", why);
        return -1;
    }
    for (size_t i = 0; i < o->link_count; i++) {
        if (outbox_add_link(&g->outbox, o->links[i], why) != 0) {
            snprintf(err, BUNDLE_ERR_LEN, "%s", why);
            return -1;
        }
    }
    g->has_outbox = true;
    return 0;
}

static int start_server(struct gateway *g, char err[static BUNDLE_ERR_LEN])
{
    const struct options *o = &g->options;
    char *cert = NULL, *key = NULL, why[HTTP_ERR_LEN];
    int result = -1;
    if (o->cert && (!(cert = read_pem(o->cert, err)) || !(key = read_pem(o->key, err))))
        goto out;
    struct http_config config = { .listen = o->listen, .cert_pem = cert, .key_pem = key };
    struct http_handler handler = { .ctx = g, .handle = handle_request,
                                    .put_len_max = put_len_max };
    result = http_server_start(&config, &handler, &g->server, why);
    if (result != 0)
        snprintf(err, BUNDLE_ERR_LEN, "%s", why);
out:
    if (key)
        sodium_memzero(key, strlen(key));
    free(key);
    free(cert);
    return result;
}

static void set_up_console(struct gateway *g)
{
    g->console = (struct console){
        .ledger = &g->ledger,
        .people = &g->people,
        .catalogue = g->catalogue,
        .villages = g->villages,
        .templates = &g->templates,
        .map = &g->map,
        .keys = g->has_node ? NULL : &g->receiver.keys,
        .node = g->has_node ? &g->follow.node : &g->no_node,
        .sync = g->has_outbox ? &g->outbox.sync : &g->no_sync,
        .host_names = g->options.hosts,
        .host_name_count = g->options.host_count,
        .enabled = !g->options.no_console,
        .ctx = g,
        .outgoing_added = on_outgoing_added,
        .send_now = on_send_now,
    };
}

/* ---- the loop ---- */

/* Whatever arrived, by whichever way: pages and the outbox hear of it. */
static int tell_of_news(struct gateway *g)
{
    int64_t last = 0;
    int result = db_record_last_arrival(g->db, &last);
    if (result < 0 || last <= g->told_arrival)
        return result;
    struct strbuf event = { .text = NULL };
    console_event(last, &event);
    if (event.text)
        http_server_broadcast(g->server, event.text);
    strbuf_free(&event);
    g->told_arrival = last;
    if (g->has_node)
        follow_news(&g->follow);
    return g->has_outbox ? outbox_kick(&g->outbox, now_ms()) : 0;
}

static int run_curl(struct gateway *g)
{
    int running, left, result = 0;
    curl_multi_perform(g->multi, &running);
    CURLMsg *message;
    while ((message = curl_multi_info_read(g->multi, &left)) != NULL)
        if (message->msg == CURLMSG_DONE && g->has_outbox && message->easy_handle == g->outbox.easy)
            result = outbox_on_done(&g->outbox, message->data.result, now_ms(), wall_ms());
    return result;
}

static int wait_ms(const struct gateway *g, int64_t now)
{
    int64_t deadline = now + LOOP_WAIT_MS_MAX;
    if (g->has_node && follow_deadline_ms(&g->follow) < deadline)
        deadline = follow_deadline_ms(&g->follow);
    if (g->has_outbox && outbox_deadline_ms(&g->outbox) < deadline)
        deadline = outbox_deadline_ms(&g->outbox);
    int64_t wait = deadline > now ? deadline - now : 0;
    int http_wait = http_server_timeout_ms(g->server, now);
    return (int)(http_wait >= 0 && http_wait < wait ? http_wait : wait);
}

static void wait_for_events(struct gateway *g)
{
    struct curl_waitfd fds[4] = {
        { .fd = http_server_fd(g->server), .events = CURL_WAIT_POLLIN },
        { .fd = g->signal_fd, .events = CURL_WAIT_POLLIN },
    };
    unsigned count = 2;
    int node_fds[2] = { -1, -1 };
    if (g->has_node)
        follow_fds(&g->follow, node_fds);
    for (size_t i = 0; i < 2; i++)
        if (node_fds[i] >= 0)
            fds[count++] = (struct curl_waitfd){ .fd = node_fds[i], .events = CURL_WAIT_POLLIN };
    curl_multi_poll(g->multi, fds, count, wait_ms(g, now_ms()), NULL);
    struct signalfd_siginfo info;
    if (read(g->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        g->stopping = true;
}

/* Says each new trouble once, not in every round. */
static void complain(struct gateway *g, int result, char last[static DB_ERR_LEN])
{
    if (result < 0 && strcmp(last, db_error(g->db)) != 0) {
        snprintf(last, DB_ERR_LEN, "%s", db_error(g->db));
        fprintf(stderr, "<3>keng-gateway: %s\n", last);
    } else if (result >= 0) {
        last[0] = '\0';
    }
}

static void run_loop(struct gateway *g)
{
    char last_complaint[DB_ERR_LEN] = "";
    while (!g->stopping) {
        wait_for_events(g);
        int result = 0;
        http_server_run(g->server, now_ms());
        if (g->has_node)
            result = follow_run(&g->follow, now_ms());
        else if (g->queue_waits)
            result = keys_write_queue(&g->receiver.keys, &g->ledger, wall_ms());
        g->queue_waits = !g->has_node && result < 0;
        int pushed = run_curl(g);
        if (pushed >= 0 && g->has_outbox)
            pushed = outbox_run(&g->outbox, now_ms(), wall_ms());
        int told = tell_of_news(g);
        complain(g, result < 0 ? result : pushed < 0 ? pushed : told, last_complaint);
    }
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a full disk is an error to report, not a reason to die */
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* A console that others can reach asks who they are, and not in the clear. */
static int check_guard(const struct gateway *g, char err[static BUNDLE_ERR_LEN])
{
    const struct options *o = &g->options;
    struct sockaddr_storage address;
    bool loopback;
    char why[HTTP_ERR_LEN];
    if (o->no_console || http_parse_listen(o->listen, &address, &loopback, why) != 0 || loopback)
        return 0;
    if (!access_is_guarded(&g->people.access))
        snprintf(err, BUNDLE_ERR_LEN,
                 lang_said("--listen %.60s can be reached by others: add an operator with "
                           "`keng-gateway operator add`, or leave the console out with "
                           "--no-console"), o->listen);
    else if (!o->cert)
        snprintf(err, BUNDLE_ERR_LEN,
                 lang_said("--listen %.60s would send passphrases in the clear: add --tls-cert and "
                           "--tls-key"), o->listen);
    else
        return 0;
    return -1;
}

static int start_all(struct gateway *g, char err[static BUNDLE_ERR_LEN])
{
    char people_err[AUDIT_ERR_LEN];
    if (!g->options.no_console &&
        people_open(&g->people, g->options.home, g->options.people, g->options.db,
                    people_err) != 0) {
        snprintf(err, BUNDLE_ERR_LEN, "%s", people_err);
        return -1;
    }
    if (check_guard(g, err) != 0)
        return -1;
    g->signal_fd = open_signals();
    g->multi = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_multi_init() : NULL;
    if (g->signal_fd < 0 || !g->multi) {
        snprintf(err, BUNDLE_ERR_LEN, "%s", lang_said("out of descriptors or memory"));
        return -1;
    }
    if (open_ledger(g, err) != 0 || load_data(g, err) != 0)
        return -1;
    add_own_keys(g);
    for (size_t i = 0; i < g->options.map_count; i++)
        if (map_add(&g->map, g->options.maps[i], err) != 0)
            return -1;
    if (g->options.socket || g->options.home) {
        if (g->options.socket)
            snprintf(g->socket_path, sizeof g->socket_path, "%s", g->options.socket);
        else
            snprintf(g->socket_path, sizeof g->socket_path, "%s/kengd.sock", g->options.home);
        follow_init(&g->follow, &g->ledger, g->socket_path);
        g->follow.commune = g->own_commune;
        g->has_node = true;
    }
    if (g->options.push && start_outbox(g, err) != 0)
        return -1;
    g->queue_waits = !g->has_node; /* what a killed program left */
    set_up_console(g);
    if (start_server(g, err) != 0)
        return -1;
    return db_record_last_arrival(g->db, &g->told_arrival);
}

static void stop_all(struct gateway *g)
{
    http_server_stop(g->server);
    if (g->has_node)
        follow_close(&g->follow);
    if (g->has_outbox)
        outbox_close(&g->outbox);
    if (g->multi)
        curl_multi_cleanup(g->multi);
    curl_global_cleanup();
    people_close(&g->people);
    keys_free(&g->receiver.keys);
    ledger_free(&g->ledger);
    db_close(g->db);
    catalogue_free(g->catalogue);
    villages_free(g->villages);
    map_close(&g->map);
    sodium_memzero(g->identities, sizeof g->identities);
    if (g->signal_fd >= 0)
        close(g->signal_fd);
}

/* What must fit together before anything is opened. */
static int check_options(const struct options *o)
{
    struct sockaddr_storage address;
    bool loopback;
    char err[HTTP_ERR_LEN];
    if (o->role || o->name)
        return fail_usage("--role and --name belong to `keng-gateway operator`");
    if (!o->home && !o->db)
        return fail_usage("name a node's home with --home DIR, or a ledger with --db FILE");
    if (http_parse_listen(o->listen, &address, &loopback, err) != 0) {
        (void)fail(err);
        return EXIT_USAGE;
    }
    if ((o->cert == NULL) != (o->key == NULL))
        return fail_usage("--tls-cert and --tls-key belong together");
    if (o->push && !o->home)
        return fail_usage("--push signs with a node's identity: name its home with --home DIR");
    if (o->out)
        return fail_usage("--out belongs to `keng-gateway export` and `keng-gateway alerts`");
    return 0;
}

static int serve(const struct options *options)
{
    static struct gateway g; /* large: the outbox holds a batch */
    char err[BUNDLE_ERR_LEN] = "";
    int status = check_options(options);
    if (status != 0)
        return status;
    g.options = *options;
    g.signal_fd = -1;
    if (start_all(&g, err) != 0) {
        status = fail(err[0] ? err : db_error(g.db));
    } else {
        const char *colon = strrchr(options->listen, ':');
        fprintf(stderr, "keng-gateway: listening on %s://%.*s:%u/\n",
                options->cert ? "https" : "http", (int)(colon - options->listen), options->listen,
                (unsigned)http_server_port(g.server));
        run_loop(&g);
    }
    stop_all(&g);
    return status;
}

/* ---- the other commands ---- */

static int export_file(const struct options *options)
{
    static struct gateway g;
    char err[BUNDLE_ERR_LEN] = "";
    int64_t count = -1;
    g.options = *options;
    g.signal_fd = -1;
    if (!options->home || !options->out)
        return fail_usage("export needs --home DIR and --out FILE");
    if (open_ledger(&g, err) == 0) {
        const struct home_identity *identity = choose_identity(&g, err);
        if (identity)
            count = bundle_export(&g.ledger, g.own_commune, identity, options->out, wall_ms(), err);
    }
    ledger_free(&g.ledger);
    db_close(g.db);
    sodium_memzero(g.identities, sizeof g.identities);
    if (count < 0)
        return fail(err);
    printf(lang_said("%s: %lld records\n"), options->out, (long long)count);
    return EXIT_SUCCESS;
}

static int export_alerts(const struct options *options)
{
    static struct gateway g;
    char err[BUNDLE_ERR_LEN] = "";
    int64_t count = -1;
    g.options = *options;
    g.signal_fd = -1;
    if (!options->home || !options->out)
        return fail_usage("alerts needs --home DIR and --out DIR");
    if (open_ledger(&g, err) == 0 && load_data(&g, err) == 0)
        count = alerts_export(&g.ledger, g.own_commune, g.villages, options->out, err);
    ledger_free(&g.ledger);
    db_close(g.db);
    catalogue_free(g.catalogue);
    villages_free(g.villages);
    if (count < 0)
        return fail(err);
    printf(lang_said("%s: %lld alerts\n"), options->out, (long long)count);
    return EXIT_SUCCESS;
}

static int fill_demo(const struct options *options)
{
    static struct gateway g;
    char err[BUNDLE_ERR_LEN] = "", why[DEMO_ERR_LEN];
    unsigned count = 0;
    g.options = *options;
    g.signal_fd = -1;
    if (!options->db || options->home)
        return fail_usage("demo-data needs --db FILE, a ledger of its own, and no --home");
    bool good = open_ledger(&g, err) == 0 && load_data(&g, err) == 0;
    if (good && demo_data_fill(&g.ledger, g.villages, wall_ms(), &count, why) != 0) {
        snprintf(err, sizeof err, "%s", why);
        good = false;
    }
    ledger_free(&g.ledger);
    db_close(g.db);
    catalogue_free(g.catalogue);
    villages_free(g.villages);
    if (!good)
        return fail(err);
    printf(lang_said("%u training reports; see them with: keng-gateway --db %s\n"), count,
           options->db);
    return EXIT_SUCCESS;
}

/* The commune a code means today. */
static const struct ledger_commune *find_commune(const struct ledger *l, const char *code)
{
    uint32_t today = units_day_of_ms(wall_ms());
    for (size_t i = 0; i < l->commune_count; i++) {
        const struct ledger_commune *c = &l->communes[i];
        bool said = c->unit.code[0] != '\0'; /* by the province */
        if (!c->is_province && strcmp(said ? c->unit.code : c->roster.profile.code, code) == 0 &&
            (!said || units_stands(&c->unit, today)))
            return c;
    }
    return NULL;
}

static int direct(const struct options *options, const char *text)
{
    static struct gateway g;
    uint8_t body[RECORD_BODY_LEN_MAX];
    char err[BUNDLE_ERR_LEN] = "", *end = NULL;
    struct directive directive = { .text_len = strlen(text) };
    struct record_ref ref;
    g.options = *options;
    g.signal_fd = -1;
    if (!options->db || options->as_count == 0 || !options->code)
        return fail_usage("direct needs --db FILE, --as DIR and --commune CODE");
    unsigned long village = options->village ? strtoul(options->village, &end, 10) : 0;
    if (village > REPORT_VILLAGE_MAX || (end && (*end || end == options->village)))
        return fail_usage("--village %s: expected a village's number", options->village);
    if (directive.text_len == 0 || directive.text_len > REPORT_TEXT_LEN_MAX)
        return fail_usage("the text must have 1 to %d bytes", REPORT_TEXT_LEN_MAX);
    directive.village = (uint32_t)village;
    memcpy(directive.text, text, directive.text_len + 1);
    int len = directive_encode(&directive, body, sizeof body);
    if (len < 0)
        return fail(report_strerror(len));
    bool good = open_ledger(&g, err) == 0;
    const struct ledger_commune *c = good ? find_commune(&g.ledger, options->code) : NULL;
    if (good && !c)
        snprintf(err, sizeof err, lang_said("no commune with code %.20s is known here"),
                 options->code);
    struct db_outgoing outgoing = { .commune = c ? c->info.id : 0, .kind = RECORD_DIRECTIVE,
                                    .priority = record_kind_priority(RECORD_DIRECTIVE),
                                    .body = body, .body_len = (size_t)len };
    good = c && keys_write(&g.receiver.keys, &g.ledger, &outgoing, wall_ms(), &ref, err) == 0;
    if (good)
        printf(lang_said("%u-%u: goes down to %s when its gateway asks next\n"),
               (unsigned)ref.author, (unsigned)ref.seq, units_name(c));
    keys_free(&g.receiver.keys);
    ledger_free(&g.ledger);
    db_close(g.db);
    return good ? EXIT_SUCCESS : fail(err);
}

static int run_people(const struct options *o, const char *verb, const char *login, bool audit)
{
    static struct people people;
    struct people_change change = { .login = login, .role = o->role, .name = o->name,
                                    .wall_ms = wall_ms() };
    char err[AUDIT_ERR_LEN];
    if (!o->home && !o->db)
        return fail_usage("name a node's home with --home DIR, or a ledger with --db FILE");
    if (people_open(&people, o->home, o->people, o->db, err) != 0)
        return fail(err);
    int status = audit ? people_audit(&people) : people_operator(&people, verb, &change);
    people_close(&people);
    return status;
}

int main(int argc, char **argv)
{
    struct options options;
    if (sodium_init() < 0)
        return fail("libsodium cannot start");
    /* Secret keys live in this process, and what people reported in its files. */
    umask(0077);
    if (setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) < 0)
        return fail("cannot switch core dumps off");
    int parsed = parse_options(argc, argv, &options);
    if (parsed != 0)
        return parsed < 0 ? EXIT_SUCCESS : parsed;
    const char *command = optind < argc ? argv[optind] : NULL;
    if (!command)
        return serve(&options);
    if (strcmp(command, "export") == 0 && optind + 1 == argc)
        return export_file(&options);
    if (strcmp(command, "alerts") == 0 && optind + 1 == argc)
        return export_alerts(&options);
    if (strcmp(command, "demo-data") == 0 && optind + 1 == argc)
        return fill_demo(&options);
    if (strcmp(command, "direct") == 0 && optind + 2 == argc)
        return direct(&options, argv[optind + 1]);
    if (strcmp(command, "operator") == 0 && optind + 3 >= argc)
        return run_people(&options, argv[optind + 1],
                          optind + 2 < argc ? argv[optind + 2] : NULL, false);
    if (strcmp(command, "audit") == 0 && optind + 1 == argc)
        return run_people(&options, NULL, NULL, true);
    return fail_usage("%s: no such command; see keng-gateway --help", command);
}
