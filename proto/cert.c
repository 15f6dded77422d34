#include "proto/cert.h"

#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/limits.h"

enum {
    SECONDS_PER_YEAR = 31557600, /* with the leap day's quarter */
    SERIAL_LEN = 16,
    KEY_ID_LEN_MAX = 64,
    SHA256_LEN = 32,
    IP_LEN_MAX = 16,
};

static gnutls_datum_t datum(const void *data, size_t len)
{
    /* GnuTLS has no const datum; it does not write through it. */
    union { const void *in; void *out; } cast = { .in = data };
    return (gnutls_datum_t){ .data = cast.out, .size = (unsigned)len };
}

static bool name_valid(const char *name)
{
    size_t len = strnlen(name, CERT_NAME_LEN_MAX + 1);
    if (len == 0 || len > CERT_NAME_LEN_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    }
    return true;
}

/* Letters, digits, '-' and '.', no empty label. */
static bool host_valid(const char *host)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
    size_t len = strnlen(host, CERT_HOST_LEN_MAX + 1);
    if (len == 0 || len > CERT_HOST_LEN_MAX || host[0] == '.' || host[len - 1] == '.')
        return false;
    return strspn(host, allowed) == len && !strstr(host, "..");
}

static time_t valid_until(int64_t now_unix_s, int years)
{
    int64_t base = now_unix_s < KENG_EPOCH_UNIX_S ? KENG_EPOCH_UNIX_S : now_unix_s;
    return (time_t)(base + (int64_t)years * SECONDS_PER_YEAR);
}

/* What every certificate of ours has: version, serial, subject, validity, key, key identifier. */
static int fill_common(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *name,
                       int64_t now_unix_s, int years)
{
    unsigned char serial[SERIAL_LEN], key_id[KEY_ID_LEN_MAX];
    size_t key_id_len = sizeof key_id;

    if (gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial) < 0)
        return CERT_ETLS;
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40); /* positive, and of constant length */
    if (gnutls_x509_crt_set_version(crt, 3) < 0 ||
        gnutls_x509_crt_set_serial(crt, serial, sizeof serial) < 0 ||
        gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                      (unsigned)strlen(name)) < 0 ||
        gnutls_x509_crt_set_activation_time(crt, (time_t)CERT_NOT_BEFORE_UNIX_S) < 0 ||
        gnutls_x509_crt_set_expiration_time(crt, valid_until(now_unix_s, years)) < 0 ||
        gnutls_x509_crt_set_key(crt, key) < 0 ||
        gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, key_id, &key_id_len) < 0 ||
        gnutls_x509_crt_set_subject_key_id(crt, key_id, key_id_len) < 0)
        return CERT_ETLS;
    return CERT_OK;
}

static int new_key(gnutls_x509_privkey_t *key_out)
{
    if (gnutls_x509_privkey_init(key_out) < 0)
        return CERT_EMEM;
    if (gnutls_x509_privkey_generate(*key_out, GNUTLS_PK_ECDSA,
                                     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) < 0)
        return CERT_ETLS;
    return CERT_OK;
}

/* A copy with a NUL after it, which GnuTLS's own buffer does not promise. */
static int copy_pem(const gnutls_datum_t *pem, char **text_out, size_t *len_out)
{
    *text_out = malloc((size_t)pem->size + 1);
    if (!*text_out)
        return CERT_EMEM;
    memcpy(*text_out, pem->data, pem->size);
    (*text_out)[pem->size] = 0;
    *len_out = pem->size;
    return CERT_OK;
}

static int export_pair(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, struct cert_pair *pair_out)
{
    gnutls_datum_t crt_pem = { 0 }, key_pem = { 0 };
    int err = CERT_ETLS;

    if (gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &crt_pem) >= 0 &&
        gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
                                          &key_pem) >= 0)
        err = copy_pem(&crt_pem, &pair_out->crt_pem, &pair_out->crt_len);
    if (err == CERT_OK)
        err = copy_pem(&key_pem, &pair_out->key_pem, &pair_out->key_len);
    if (key_pem.data)
        gnutls_memset(key_pem.data, 0, key_pem.size);
    gnutls_free(key_pem.data);
    gnutls_free(crt_pem.data);
    if (err < 0)
        cert_pair_free(pair_out);
    return err;
}

int cert_make_ca(const char *name, int64_t now_unix_s, struct cert_pair *ca_out)
{
    gnutls_x509_crt_t crt = NULL;
    gnutls_x509_privkey_t key = NULL;

    *ca_out = (struct cert_pair){ 0 };
    if (!name_valid(name))
        return CERT_ENAME;
    int err = gnutls_x509_crt_init(&crt) < 0 ? CERT_EMEM : new_key(&key);
    if (err == CERT_OK)
        err = fill_common(crt, key, name, now_unix_s, CERT_CA_YEARS);
    if (err == CERT_OK &&
        (gnutls_x509_crt_set_basic_constraints(crt, 1, 0) < 0 ||
         gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN) < 0 ||
         gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0) < 0))
        err = CERT_ETLS;
    if (err == CERT_OK)
        err = export_pair(crt, key, ca_out);
    gnutls_x509_privkey_deinit(key);
    gnutls_x509_crt_deinit(crt);
    return err;
}

/* An address or a DNS name into the subject's alternative names. */
static int add_host(gnutls_x509_crt_t crt, const char *host)
{
    unsigned char ip[IP_LEN_MAX];
    int err;

    if (inet_pton(AF_INET, host, ip) == 1) {
        err = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, ip, 4,
                                                   GNUTLS_FSAN_APPEND);
    } else if (inet_pton(AF_INET6, host, ip) == 1) {
        err = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, ip, 16,
                                                   GNUTLS_FSAN_APPEND);
    } else if (host_valid(host)) {
        err = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, host,
                                                   (unsigned)strlen(host), GNUTLS_FSAN_APPEND);
    } else {
        return CERT_ENAME;
    }
    return err < 0 ? CERT_ETLS : CERT_OK;
}

static int fill_leaf(gnutls_x509_crt_t crt, gnutls_x509_crt_t ca_crt,
                     const struct cert_request *request)
{
    unsigned char ca_id[KEY_ID_LEN_MAX];
    size_t ca_id_len = sizeof ca_id;

    for (size_t i = 0; i < request->host_count; i++) {
        int err = add_host(crt, request->hosts[i]);
        if (err < 0)
            return err;
    }
    if (gnutls_x509_crt_set_basic_constraints(crt, 0, -1) < 0 ||
        gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE) < 0 ||
        gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0) < 0 ||
        gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0) < 0 ||
        gnutls_x509_crt_get_subject_key_id(ca_crt, ca_id, &ca_id_len, NULL) < 0 ||
        gnutls_x509_crt_set_authority_key_id(crt, ca_id, ca_id_len) < 0)
        return CERT_ETLS;
    return CERT_OK;
}

/* The authority's certificate and key, which must belong together. */
static int import_ca(const struct cert_pair *ca, gnutls_x509_crt_t ca_crt,
                     gnutls_x509_privkey_t ca_key)
{
    unsigned char crt_id[KEY_ID_LEN_MAX], key_id[KEY_ID_LEN_MAX];
    size_t crt_id_len = sizeof crt_id, key_id_len = sizeof key_id;

    if (!ca->crt_pem || !ca->key_pem)
        return CERT_ECA;
    gnutls_datum_t crt_pem = datum(ca->crt_pem, ca->crt_len);
    gnutls_datum_t key_pem = datum(ca->key_pem, ca->key_len);
    if (gnutls_x509_crt_import(ca_crt, &crt_pem, GNUTLS_X509_FMT_PEM) < 0 ||
        gnutls_x509_privkey_import2(ca_key, &key_pem, GNUTLS_X509_FMT_PEM, NULL, 0) < 0 ||
        gnutls_x509_crt_get_ca_status(ca_crt, NULL) <= 0 ||
        gnutls_x509_crt_get_key_id(ca_crt, GNUTLS_KEYID_USE_SHA256, crt_id, &crt_id_len) < 0 ||
        gnutls_x509_privkey_get_key_id(ca_key, GNUTLS_KEYID_USE_SHA256, key_id, &key_id_len) < 0 ||
        crt_id_len != key_id_len || memcmp(crt_id, key_id, key_id_len) != 0)
        return CERT_ECA;
    return CERT_OK;
}

int cert_issue(const struct cert_pair *ca, const struct cert_request *request, int64_t now_unix_s,
               struct cert_pair *leaf_out)
{
    gnutls_x509_crt_t ca_crt = NULL, crt = NULL;
    gnutls_x509_privkey_t ca_key = NULL, key = NULL;
    int err = CERT_EMEM;

    *leaf_out = (struct cert_pair){ 0 };
    if (!name_valid(request->common_name) || request->host_count > CERT_HOST_COUNT_MAX)
        return CERT_ENAME;
    if (gnutls_x509_crt_init(&ca_crt) < 0 || gnutls_x509_crt_init(&crt) < 0 ||
        gnutls_x509_privkey_init(&ca_key) < 0)
        goto out;
    err = import_ca(ca, ca_crt, ca_key);
    if (err == CERT_OK)
        err = new_key(&key);
    if (err == CERT_OK)
        err = fill_common(crt, key, request->common_name, now_unix_s, CERT_LEAF_YEARS);
    if (err == CERT_OK)
        err = fill_leaf(crt, ca_crt, request);
    if (err == CERT_OK && gnutls_x509_crt_sign2(crt, ca_crt, ca_key, GNUTLS_DIG_SHA256, 0) < 0)
        err = CERT_ETLS;
    if (err == CERT_OK)
        err = export_pair(crt, key, leaf_out);
out:
    gnutls_x509_privkey_deinit(key);
    gnutls_x509_privkey_deinit(ca_key);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_crt_deinit(ca_crt);
    return err;
}

void cert_pair_free(struct cert_pair *pair)
{
    if (pair->key_pem)
        gnutls_memset(pair->key_pem, 0, pair->key_len);
    free(pair->key_pem);
    free(pair->crt_pem);
    *pair = (struct cert_pair){ 0 };
}

int cert_fingerprint(const char *crt_pem, size_t crt_len,
                     char fingerprint_out[static CERT_FINGERPRINT_LEN])
{
    gnutls_datum_t pem = datum(crt_pem, crt_len), der = { 0 };
    unsigned char hash[SHA256_LEN];
    int err = CERT_ETLS;

    if (gnutls_pem_base64_decode2("CERTIFICATE", &pem, &der) < 0)
        return CERT_ETLS;
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, hash) >= 0) {
        for (size_t i = 0; i < sizeof hash; i++) {
            snprintf(fingerprint_out + 3 * i, 3, "%02X", hash[i]);
            if (i + 1 < sizeof hash) /* over the NUL */
                fingerprint_out[3 * i + 2] = ':';
        }
        err = CERT_OK;
    }
    gnutls_free(der.data);
    return err;
}

const char *cert_strerror(int err)
{
    switch ((enum cert_err)err) {
    case CERT_OK:
        return "no error";
    case CERT_ENAME:
        return "not a valid name, host name or address for a certificate";
    case CERT_ECA:
        return "the authority's key and certificate cannot be read or do not belong together";
    case CERT_ETLS:
        return "GnuTLS could not make the certificate";
    case CERT_EMEM:
        return "no memory";
    }
    return "unknown error";
}
