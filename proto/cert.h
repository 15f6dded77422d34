/* cert.h - a local certificate authority and its certificates, for HTTPS between our own programs.
 *
 * ECDSA P-256 with SHA-256 (browsers refuse Ed25519 certificates).  The authority has path length
 * 0: it can issue leaves, never another authority.  Nodes have no trustworthy clock, so every
 * certificate is valid from CERT_NOT_BEFORE_UNIX_S on; only the end depends on now.  X.509 by
 * RFC 5280, by GnuTLS; no other file includes gnutls for making certificates.
 *
 * Memory    PEM texts on the heap, owned by the struct; cert_pair_free() wipes the key.
 * Errors    0 or a negative enum cert_err; *_out is then empty and needs no free.
 */
#ifndef KENG_PROTO_CERT_H
#define KENG_PROTO_CERT_H

#include <stddef.h>
#include <stdint.h>

enum {
    CERT_NAME_LEN_MAX = 64,  /* X.520 upper bound of a common name */
    CERT_HOST_LEN_MAX = 253, /* of a DNS name in text */
    CERT_HOST_COUNT_MAX = 16,
    CERT_CA_YEARS = 20,
    CERT_LEAF_YEARS = 3,
};

/* 2025-01-01T00:00:00Z */
#define CERT_NOT_BEFORE_UNIX_S INT64_C(1735689600)

enum cert_err {
    CERT_OK = 0,
    CERT_ENAME = -1, /* a name or host is empty, too long, or not a host name or address */
    CERT_ECA = -2,   /* the authority's key or certificate cannot be read, or do not match */
    CERT_ETLS = -3,  /* GnuTLS failed */
    CERT_EMEM = -4,
};

struct cert_pair {
    char *key_pem; /* PKCS#8, not encrypted: keep the file private */
    size_t key_len;
    char *crt_pem;
    size_t crt_len;
};

/* A leaf for both ends of TLS (server and client). */
struct cert_request {
    const char *common_name;
    const char *const *hosts; /* DNS names and IPv4 or IPv6 addresses, as text */
    size_t host_count;        /* 0: a client that nobody connects to */
};

/* now_unix_s before 2026 means a clock that was never set; 2026-01-01 is then taken. */
int cert_make_ca(const char *name, int64_t now_unix_s, struct cert_pair *ca_out);
int cert_issue(const struct cert_pair *ca, const struct cert_request *request, int64_t now_unix_s,
               struct cert_pair *leaf_out);
void cert_pair_free(struct cert_pair *pair);

/* SHA-256 of the certificate in colon-separated hex, for reading aloud; NUL-ended. */
enum { CERT_FINGERPRINT_LEN = 32 * 3 };
int cert_fingerprint(const char *crt_pem, size_t crt_len,
                     char fingerprint_out[static CERT_FINGERPRINT_LEN]);

const char *cert_strerror(int err);

#endif
