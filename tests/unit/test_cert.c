#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "proto/cert.h"

#define NOW INT64_C(1785542400) /* 2026-08-01 */
#define YEAR INT64_C(31557600)

static struct cert_pair ca;

static int make_ca(void **state)
{
    (void)state;
    return cert_make_ca("Kẻng – xã Suối Mây", NOW, &ca);
}

static int free_ca(void **state)
{
    (void)state;
    cert_pair_free(&ca);
    return 0;
}

static gnutls_x509_crt_t import(const struct cert_pair *pair)
{
    gnutls_x509_crt_t crt;
    gnutls_datum_t pem = { (unsigned char *)pair->crt_pem, (unsigned)pair->crt_len };
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    assert_int_equal(gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM), 0);
    return crt;
}

/* GnuTLS's verdict on leaf under authority, for a host, on a TLS server or client. */
static unsigned verify(const struct cert_pair *authority, const struct cert_pair *leaf,
                       const char *host, const char *purpose)
{
    gnutls_x509_trust_list_t trust;
    gnutls_x509_crt_t root = import(authority), crt = import(leaf);
    gnutls_typed_vdata_st data[2] = {
        { .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)(uintptr_t)purpose },
        { .type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)(uintptr_t)host },
    };
    unsigned status = 0;

    assert_int_equal(gnutls_x509_trust_list_init(&trust, 0), 0);
    assert_int_equal(gnutls_x509_trust_list_add_cas(trust, &root, 1, 0), 1);
    assert_int_equal(gnutls_x509_trust_list_verify_crt2(trust, &crt, 1, data, host ? 2 : 1, 0,
                                                        &status, NULL), 0);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_trust_list_deinit(trust, 1);
    return status;
}

static struct cert_pair issue(const char *const *hosts, size_t count)
{
    struct cert_request request = { "commune gateway", hosts, count };
    struct cert_pair leaf;
    assert_int_equal(cert_issue(&ca, &request, NOW, &leaf), CERT_OK);
    return leaf;
}

static void test_cert_chain_verifies_for_its_hosts_only(void **state)
{
    (void)state;
    static const char *const hosts[] = { "localhost", "gw.suoi-may.lan", "127.0.0.1", "fd00::1" };
    struct cert_pair leaf = issue(hosts, 4), other_ca;

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(verify(&ca, &leaf, hosts[i], GNUTLS_KP_TLS_WWW_SERVER), 0);
    assert_int_equal(verify(&ca, &leaf, NULL, GNUTLS_KP_TLS_WWW_CLIENT), 0);
    assert_true(verify(&ca, &leaf, "127.0.0.2", GNUTLS_KP_TLS_WWW_SERVER) != 0);
    assert_true(verify(&ca, &leaf, "example.org", GNUTLS_KP_TLS_WWW_SERVER) != 0);
    assert_true(verify(&ca, &leaf, NULL, GNUTLS_KP_EMAIL_PROTECTION) != 0);

    assert_int_equal(cert_make_ca("Kẻng – xã Suối Mây", NOW, &other_ca), CERT_OK);
    assert_true(verify(&other_ca, &leaf, "localhost", GNUTLS_KP_TLS_WWW_SERVER) != 0);
    cert_pair_free(&other_ca);
    cert_pair_free(&leaf);
}

static void test_cert_authority_cannot_make_authorities(void **state)
{
    (void)state;
    struct cert_pair leaf = issue(NULL, 0), child;
    struct cert_request request = { "x", NULL, 0 };
    gnutls_x509_crt_t root = import(&ca);
    unsigned critical, is_ca;
    int path_len;

    assert_int_equal(gnutls_x509_crt_get_basic_constraints(root, &critical, &is_ca, &path_len), 1);
    assert_int_equal(is_ca, 1);
    assert_int_equal(path_len, 0);
    gnutls_x509_crt_deinit(root);
    assert_int_equal(cert_issue(&leaf, &request, NOW, &child), CERT_ECA);
    assert_null(child.key_pem);
    cert_pair_free(&leaf);
}

static void test_cert_keys_are_p256_and_ever_new(void **state)
{
    (void)state;
    struct cert_pair a = issue(NULL, 0), b = issue(NULL, 0);
    gnutls_x509_crt_t crt = import(&a);
    gnutls_ecc_curve_t curve;
    gnutls_datum_t x, y;

    assert_int_equal(gnutls_x509_crt_get_pk_ecc_raw(crt, &curve, &x, &y), 0);
    assert_int_equal(curve, GNUTLS_ECC_CURVE_SECP256R1);
    assert_int_equal(gnutls_x509_crt_get_signature_algorithm(crt), GNUTLS_SIGN_ECDSA_SHA256);
    gnutls_free(x.data);
    gnutls_free(y.data);
    gnutls_x509_crt_deinit(crt);
    assert_string_not_equal(a.key_pem, b.key_pem);
    assert_int_equal(strlen(a.key_pem), a.key_len);
    assert_int_equal(strlen(a.crt_pem), a.crt_len);
    cert_pair_free(&a);
    cert_pair_free(&b);
}

static void test_cert_validity_does_not_need_a_clock(void **state)
{
    (void)state;
    static const struct { int64_t now, until; } cases[] = {
        { 0, INT64_C(1767225600) + 3 * YEAR }, /* never set: as if on 2026-01-01 */
        { -5, INT64_C(1767225600) + 3 * YEAR },
        { NOW, NOW + 3 * YEAR },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cert_request request = { "x", NULL, 0 };
        struct cert_pair leaf;
        assert_int_equal(cert_issue(&ca, &request, cases[i].now, &leaf), CERT_OK);
        gnutls_x509_crt_t crt = import(&leaf);
        assert_int_equal(gnutls_x509_crt_get_activation_time(crt), CERT_NOT_BEFORE_UNIX_S);
        assert_int_equal(gnutls_x509_crt_get_expiration_time(crt), cases[i].until);
        gnutls_x509_crt_deinit(crt);
        cert_pair_free(&leaf);
    }
    gnutls_x509_crt_t root = import(&ca);
    assert_int_equal(gnutls_x509_crt_get_expiration_time(root), NOW + 20 * YEAR);
    gnutls_x509_crt_deinit(root);
}

static void test_cert_bad_names_and_authorities_are_refused(void **state)
{
    (void)state;
    static const char long_name[] =
        "12345678901234567890123456789012345678901234567890123456789012345"; /* 65 */
    static const char *const bad_hosts[] = {
        "", "a b", ".lan", "lan.", "a..b", "x/y", "*", "[::1]",
    };
    struct cert_pair out, spoilt = ca;
    struct cert_request request = { "x", NULL, 0 };

    assert_int_equal(cert_make_ca("", NOW, &out), CERT_ENAME);
    assert_int_equal(cert_make_ca(long_name, NOW, &out), CERT_ENAME);
    assert_int_equal(cert_make_ca("a\nb", NOW, &out), CERT_ENAME);
    for (size_t i = 0; i < sizeof bad_hosts / sizeof bad_hosts[0]; i++) {
        struct cert_request bad = { "x", &bad_hosts[i], 1 };
        assert_int_equal(cert_issue(&ca, &bad, NOW, &out), CERT_ENAME);
        assert_null(out.crt_pem);
    }
    spoilt.key_len = 10;
    assert_int_equal(cert_issue(&spoilt, &request, NOW, &out), CERT_ECA);
    spoilt = (struct cert_pair){ 0 };
    assert_int_equal(cert_issue(&spoilt, &request, NOW, &out), CERT_ECA);

    struct cert_pair other;
    assert_int_equal(cert_make_ca("other", NOW, &other), CERT_OK);
    spoilt = (struct cert_pair){ .key_pem = other.key_pem, .key_len = other.key_len,
                                 .crt_pem = ca.crt_pem, .crt_len = ca.crt_len };
    assert_int_equal(cert_issue(&spoilt, &request, NOW, &out), CERT_ECA);
    cert_pair_free(&other);
}

static void test_cert_fingerprint_is_that_of_the_certificate(void **state)
{
    (void)state;
    char text[CERT_FINGERPRINT_LEN], want[CERT_FINGERPRINT_LEN];
    unsigned char hash[32];
    size_t hash_len = sizeof hash;
    gnutls_x509_crt_t crt = import(&ca);

    assert_int_equal(gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, hash, &hash_len), 0);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(want + 3 * i, 3, "%02X", hash[i]);
    for (size_t i = 1; i < sizeof hash; i++)
        want[3 * i - 1] = ':';
    assert_int_equal(cert_fingerprint(ca.crt_pem, ca.crt_len, text), CERT_OK);
    assert_string_equal(text, want);
    assert_int_equal(cert_fingerprint("no pem", 6, text), CERT_ETLS);
    gnutls_x509_crt_deinit(crt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cert_chain_verifies_for_its_hosts_only),
        cmocka_unit_test(test_cert_authority_cannot_make_authorities),
        cmocka_unit_test(test_cert_keys_are_p256_and_ever_new),
        cmocka_unit_test(test_cert_validity_does_not_need_a_clock),
        cmocka_unit_test(test_cert_bad_names_and_authorities_are_refused),
        cmocka_unit_test(test_cert_fingerprint_is_that_of_the_certificate),
    };
    return cmocka_run_group_tests(tests, make_ca, free_ca);
}
