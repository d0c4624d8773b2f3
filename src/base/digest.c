#include "base/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

void digest_sha256(const void *bytes, size_t size, uint8_t out[32])
{
    unsigned length = 0;
    const int done = EVP_Digest(size > 0 ? bytes : "", size, out, &length, EVP_sha256(), NULL);
    CHECK(done == 1 && length == 32, "libcrypto can't compute SHA-256 (%zu bytes)", size);
}

struct digest {
    EVP_MD_CTX *context;
};

struct digest *digest_create(void)
{
    struct digest *digest = malloc(sizeof *digest);
    CHECK(digest != NULL, "out of memory for a digest");
    digest->context = EVP_MD_CTX_new();
    CHECK(digest->context != NULL && EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) == 1, "libcrypto can't begin a SHA-256");
    return digest;
}

void digest_add(struct digest *digest, const void *bytes, size_t size)
{
    CHECK(EVP_DigestUpdate(digest->context, bytes, size) == 1, "libcrypto can't go on with a SHA-256 (%zu bytes)", size);
}

void digest_end(struct digest *digest, uint8_t out[32])
{
    unsigned length = 0;
    CHECK(EVP_DigestFinal_ex(digest->context, out, &length) == 1 && length == 32, "libcrypto can't end a SHA-256");
}

void digest_destroy(struct digest *digest)
{
    if (digest == NULL) return;
    EVP_MD_CTX_free(digest->context);
    free(digest);
}

void digest_hex(const uint8_t *bytes, size_t count, char *text)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        text[2 * i] = digit[bytes[i] >> 4];
        text[2 * i + 1] = digit[bytes[i] & 15];
    }
    text[2 * count] = '\0';
}

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < size; i++) {
        hash ^= byte[i];
        hash *= 0x100000001b3ull; /* FNV-1a's prime of 64 bits */
    }
    return hash;
}

uint64_t hash_many_bytes(uint64_t hash, const void *bytes, size_t size)
{
    /* A product waits for the one before it: four chains side by side, of eight bytes a step. */
    enum { CHAINS = 4 };
    const uint8_t *byte = bytes;
    uint64_t chain[CHAINS] = {hash, hash + 1, hash + 2, hash + 3}, word[CHAINS];
    size_t i = 0;
    for (; i + sizeof word <= size; i += sizeof word) {
        memcpy(word, byte + i, sizeof word);
        for (int c = 0; c < CHAINS; c++) {
            const uint64_t mixed = (chain[c] ^ word[c]) * 0x9e3779b97f4a7c15ull; /* 2^64 / golden ratio */
            chain[c] = mixed << 32 | mixed >> 32;                                /* a product moves bits up only */
        }
    }
    return hash_bytes(hash_bytes(hash, chain, sizeof chain), byte + i, size - i);
}

uint64_t hash_text(uint64_t hash, const char *text)
{
    return hash_bytes(hash, text, strlen(text) + 1);
}
